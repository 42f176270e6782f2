//! The functions of the header, read from it, and calls of all of them, generated, so that none is forgotten.

use std::fmt::Write;

const HEADER: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/include/heartwire.h"));

pub(crate) struct Function {
    pub(crate) result: String,
    pub(crate) name: String,
    /// Type and name of each.
    pub(crate) parameters: Vec<(String, String)>,
}

pub(crate) fn functions() -> Vec<Function> {
    let mut code = String::new();
    let mut rest = HEADER;
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").expect("comments end").1;
    }
    code.push_str(rest);
    let code: String = code.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ");
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let code = code.replace("extern \"C\" {", "");
    code.split(';').filter_map(|statement| function(statement.trim())).collect()
}

fn function(statement: &str) -> Option<Function> {
    if statement.starts_with("typedef") || !statement.ends_with(')') {
        return None;
    }
    let (head, parameters) = statement.strip_suffix(')')?.split_once('(')?;
    let (result, name) = typed(head);
    let parameters = if parameters == "void" { vec![] } else { parameters.split(", ").map(typed).collect() };
    Some(Function { result, name, parameters })
}

/// `const char *name` is the type `const char *` and the name.
fn typed(text: &str) -> (String, String) {
    let at = text.rfind([' ', '*']).expect("a type and a name") + 1;
    (text[..at].trim().to_string(), text[at..].to_string())
}

impl Function {
    fn takes_client(&self) -> bool {
        self.parameters.first().is_some_and(|(kind, _)| kind == "struct heartwire_client")
    }

    fn returns_status(&self) -> bool {
        self.result == "heartwire_status"
    }

    /// A call with arguments that are right, but for those that `instead` replaces.
    fn call(&self, instead: impl Fn(usize) -> Option<String>) -> String {
        let one = |(i, (kind, name)): (usize, &(String, String))| {
            instead(i).unwrap_or_else(|| self.argument(kind, name))
        };
        let arguments: Vec<String> = self.parameters.iter().enumerate().map(one).collect();
        format!("{}({})", self.name, arguments.join(", "))
    }

    fn argument(&self, kind: &str, name: &str) -> String {
        let argument = match (self.name.as_str(), kind, name) {
            // Freed objects are made for it.
            ("heartwire_options_free", ..) => "heartwire_options_new()",
            ("heartwire_loop_free", ..) => "heartwire_loop_new()",
            ("heartwire_event_free" | "heartwire_greeting_set", _, "event" | "greeting") => "NULL",
            // The options of the calls before would not do: they name files that are not there.
            ("heartwire_create", _, "options") => "NULL",
            // Those of the scenario stay in place.
            ("heartwire_set_logger", _, "level") => "logger_level",
            ("heartwire_set_logger", _, "call") => "logger_call",
            ("heartwire_set_logger", _, "user_data") => "logger_data",
            ("heartwire_set_thread_hooks", _, "start") => "hook_start",
            ("heartwire_set_thread_hooks", _, "stop") => "hook_stop",
            ("heartwire_set_thread_hooks", _, "user_data") => "hook_data",
            ("heartwire_remove_listener", _, "listener") => "12345678",
            ("heartwire_options_set_proxy", _, "url") => "\"http://127.0.0.1:1\"",
            (_, _, "url") => "\"ws://127.0.0.1:1/\"",
            (_, _, "address") => "\"127.0.0.1\"",
            (_, _, "timeout_ms") => {
                if kind == "int32_t" {
                    "0"
                } else {
                    "1"
                }
            }
            (_, _, "user_data") => "NULL",
            (_, "heartwire_free_fn", _) => "NULL",
            (_, "heartwire_event_fn", _) => "quiet_event",
            (_, "heartwire_message_fn", _) => "quiet_message",
            (_, "heartwire_fragment_fn", _) => "quiet_fragment",
            (_, "heartwire_delay_fn", _) => "quiet_delay",
            (_, "heartwire_greeting_fn", _) => "quiet_greeting",
            (_, "heartwire_before_connect_fn", _) => "quiet_before_connect",
            (_, "heartwire_dial_fn", _) => "quiet_dial",
            // None that is open: it would be taken over.
            ("heartwire_connect_over", "int", _) => "-1",
            (_, "heartwire_ip_version", _) => "HEARTWIRE_IP_ANY",
            (_, "heartwire_replay_fn", _) => "quiet_replay",
            // There is one inside its callback only.
            (_, "struct heartwire_attempt *" | "struct heartwire_replay *", _) => "NULL",
            (_, "struct heartwire_client", _) => "client",
            (_, "struct heartwire_client *", _) => "&made",
            (_, "struct heartwire_stream", _) => "stream",
            (_, "struct heartwire_stream *", _) => "&stream",
            (_, "struct heartwire_options *" | "const struct heartwire_options *", _) => "options",
            (_, "struct heartwire_loop *" | "const struct heartwire_loop *", _) => "event_loop",
            (_, "const struct heartwire_event *", _) => "event",
            (_, "struct heartwire_event **", _) => "&taken",
            (_, "const struct heartwire_send_options *", _) => "&send_options",
            (_, "struct heartwire_stats_info *", _) => "&stats",
            (_, "struct heartwire_error_info *", _) => "&error",
            (_, "struct heartwire_outcome_info *", _) => "&outcome",
            (_, "const uint32_t *", _) => "delays",
            (_, "uint64_t *", _) => "&number",
            (_, "int *", _) => "&fd",
            (_, "char *", _) => "buffer",
            (_, "uint8_t *", _) => "(uint8_t *)buffer",
            (_, "size_t *", _) => "room()",
            (_, "const char *" | "const void *", _) => "\"x\"",
            (_, "heartwire_message_kind", _) => "HEARTWIRE_TEXT",
            (_, "heartwire_level", _) => "HEARTWIRE_LEVEL_WRITTEN",
            (_, "heartwire_delivery", _) => "HEARTWIRE_DELIVERY_AT_MOST_ONCE",
            (_, "heartwire_dispatch", _) => "HEARTWIRE_DISPATCH_LOOP",
            (_, "heartwire_when_full", _) => "HEARTWIRE_WHEN_FULL_REJECT",
            (_, "heartwire_tls_version", _) => "HEARTWIRE_TLS_1_2",
            (_, "heartwire_status", _) => "HEARTWIRE_OK",
            (_, "uint16_t", _) => {
                if name == "status" {
                    "503"
                } else {
                    "1000"
                }
            }
            (_, "uint8_t", _) => "9",
            (_, "size_t", "bytes") => "1 << 20",
            (_, "uint32_t" | "size_t" | "bool", _) => "1",
            (_, "double", _) => "2.0",
            _ => panic!("no argument is known for {kind} {name} of {}", self.name),
        };
        argument.to_string()
    }

    /// Whether NULL has a meaning there.
    fn may_be_null(&self, name: &str) -> bool {
        matches!(
            (self.name.as_str(), name),
            (_, "user_data" | "free_user_data" | "id" | "listener" | "buf")
                | ("heartwire_options_set_before_connect", "call")
                | ("heartwire_options_set_dial", "call")
                | ("heartwire_options_set_on_replay", "call")
                | ("heartwire_options_set_interface", "name")
                | ("heartwire_options_set_unix_socket", "path")
                | ("heartwire_create", "options")
                | ("heartwire_close", "reason")
                | ("heartwire_options_set_proxy", "user" | "password")
                | ("heartwire_loop_free" | "heartwire_options_set_loop", "event_loop")
                | ("heartwire_set_logger" | "heartwire_set_thread_hooks", _)
        )
    }
}

/// `call_all` for `every_call.c`: every function, with a client in whatever state, and an event or NULL.
///
/// `check_handles`: what a handle of no client gets. `check_nulls`: what NULL gets in each place.
pub(crate) fn generated() -> String {
    let functions = functions();
    let mut all = String::from(
        "static void call_all(heartwire_client client, const heartwire_event *event) {\n    PREPARE\n",
    );
    let mut handles = String::from("static void check_handles(heartwire_client client) {\n    PREPARE\n");
    let mut nulls = String::from(
        "static void check_nulls(heartwire_client client, const heartwire_event *event) {\n    PREPARE\n",
    );
    for function in &functions {
        let name = function.name.as_str();
        let right = function.call(|_| None);
        match name {
            // The scenarios call these.
            "heartwire_destroy" | "heartwire_release" | "heartwire_close" => {}
            // Frees what the other one makes.
            "heartwire_options_new" | "heartwire_loop_new" => {}
            "heartwire_create" => {
                let _ = writeln!(all, "    OK({right});");
                let _ = writeln!(all, "    OK(heartwire_destroy(made));");
            }
            _ => {
                let _ = writeln!(all, "    (void){right};");
            }
        }
        if function.takes_client() {
            let refused = match (function.result.as_str(), name) {
                ("heartwire_status", _) => "HEARTWIRE_ERR_HANDLE",
                ("heartwire_client_state", _) => "HEARTWIRE_STATE_NONE",
                ("heartwire_ready", _) => "HEARTWIRE_READY_NONE",
                (_, "heartwire_buffered_amount" | "heartwire_is_valid") => "0",
                (other, _) => panic!("what does {name} answer, a {other}?"),
            };
            let _ = writeln!(handles, "    CHECK({right} == {refused});");
        }
        for (i, (kind, parameter)) in function.parameters.iter().enumerate() {
            if !kind.ends_with('*') && !kind.ends_with("_fn") {
                continue;
            }
            let call = function.call(|at| (at == i).then(|| "NULL".to_string()));
            if function.may_be_null(parameter) {
                continue;
            }
            if function.returns_status() {
                let _ = writeln!(nulls, "    CHECK({call} == HEARTWIRE_ERR_ARGUMENT);");
            } else {
                let _ = writeln!(nulls, "    (void){call};");
            }
        }
    }
    for text in [&mut all, &mut handles, &mut nulls] {
        text.push_str("    TIDY\n}\n\n");
    }
    format!("{all}{handles}{nulls}enum {{ FUNCTIONS = {} }};\n", functions.len())
}
