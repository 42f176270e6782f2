//! What stands for `deflate` in builds without it: nothing is offered, so nothing can be agreed on.
//!
//! No value of these types exists, and an `Option` of one takes no room and no branch.

use std::convert::Infallible;

use super::frame::Opcode;
use crate::error::{ProtocolFault, UpgradeFault};
use crate::session::reader::fragments::Passed;

#[derive(Clone, Copy)]
pub(crate) struct Offer(Infallible);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Agreed(Infallible);

pub(crate) struct Inflater(Infallible);

pub(crate) struct Deflater(Infallible);

impl Offer {
    pub(crate) fn header(&self) -> String {
        match self.0 {}
    }

    pub(crate) fn judge<'a>(&self, _: impl Iterator<Item = &'a str>) -> Result<Option<Agreed>, UpgradeFault> {
        match self.0 {}
    }
}

impl Inflater {
    pub(crate) fn new(agreed: &Agreed) -> Inflater {
        match agreed.0 {}
    }

    pub(crate) fn begin(&mut self) {
        match self.0 {}
    }

    pub(crate) fn claim(&mut self, _: u64, _: u64) -> Result<u64, ProtocolFault> {
        match self.0 {}
    }

    pub(crate) fn pass_on(
        &mut self,
        _: &[u8],
        _: bool,
        _: bool,
        _: usize,
        _: u64,
    ) -> Result<Passed, ProtocolFault> {
        match self.0 {}
    }

    pub(crate) fn take(&mut self, _: &[u8], _: bool, _: bool, _: usize) -> Result<(), ProtocolFault> {
        match self.0 {}
    }

    pub(crate) fn message(&self) -> &[u8] {
        match self.0 {}
    }

    pub(crate) fn worked_much(&mut self) -> bool {
        match self.0 {}
    }

    pub(crate) fn has_spare(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn shrink(&mut self) {
        match self.0 {}
    }
}

impl Deflater {
    pub(crate) fn new(agreed: &Agreed) -> Deflater {
        match agreed.0 {}
    }

    pub(crate) fn wants(&self, _: Opcode, _: usize) -> bool {
        match self.0 {}
    }

    pub(crate) fn compress(&mut self, _: &[u8]) -> bool {
        match self.0 {}
    }

    pub(crate) fn payload(&self) -> &[u8] {
        match self.0 {}
    }

    pub(crate) fn has_spare(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn shrink(&mut self) {
        match self.0 {}
    }
}
