//! Greetings: what is sent first on every open, before anything that waits.

use std::fmt;
use std::sync::Mutex;

use crate::event::Message;
use crate::user_code::Kept;

/// What is sent first on every open: a login, a subscription.
///
/// Made from a text, from bytes, from a [`Message`], or from a closure that gets the number of the
/// attempt that succeeded (from 1) and returns a `Message`.
pub struct Greeting(Source);

/// The number of the attempt goes in.
type Make = Box<dyn FnMut(u32) -> Option<Message> + Send>;

enum Source {
    Always(Message),
    // The mutex makes a `FnMut` callable behind the shared configuration; only the loop calls it.
    Made(Kept<Mutex<Make>>),
}

impl Greeting {
    /// From a closure that may have nothing to say.
    pub(crate) fn made(make: impl FnMut(u32) -> Option<Message> + Send + 'static) -> Greeting {
        Greeting(Source::Made(Kept::new(Mutex::new(Box::new(make)))))
    }

    /// User code may run: call it with no lock held, and inside `catch_unwind`.
    pub(crate) fn make(&self, attempt: u32) -> Option<Message> {
        match &self.0 {
            Source::Always(message) => Some(message.clone()),
            Source::Made(make) => {
                // A panic in an earlier call ended the client; its poison means nothing here.
                let mut make = make.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                make(attempt)
            }
        }
    }
}

/// Shows no content: greetings carry credentials.
impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Greeting")
    }
}

impl From<Message> for Greeting {
    fn from(message: Message) -> Greeting {
        Greeting(Source::Always(message))
    }
}

impl From<&str> for Greeting {
    fn from(text: &str) -> Greeting {
        Message::text(text).into()
    }
}

impl From<String> for Greeting {
    fn from(text: String) -> Greeting {
        Message::text(text).into()
    }
}

impl From<&[u8]> for Greeting {
    fn from(data: &[u8]) -> Greeting {
        Message::binary(data).into()
    }
}

impl From<Vec<u8>> for Greeting {
    fn from(data: Vec<u8>) -> Greeting {
        Message::binary(data).into()
    }
}

impl<F: FnMut(u32) -> Message + Send + 'static> From<F> for Greeting {
    fn from(mut make: F) -> Greeting {
        Greeting::made(move |attempt| Some(make(attempt)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(greeting: impl Into<Greeting>) -> Greeting {
        greeting.into()
    }

    #[test]
    fn a_closure_is_told_the_attempt() {
        let made = greeting(|attempt| Message::text(format!("login {attempt}"))).make(3).unwrap();
        assert_eq!(made.as_text(), Some("login 3"));
    }

    #[test]
    fn plain_text_and_bytes_will_do() {
        assert_eq!(greeting("login").make(1).unwrap().as_text(), Some("login"));
        assert_eq!(greeting(vec![1, 2]).make(1).unwrap().as_bytes(), [1, 2]);
    }
}
