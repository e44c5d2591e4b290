//! The nodes of one module, named by handles.

use std::collections::BTreeMap;

use peerstream_protocol::time::Micros;

use crate::{Failure, NODES_MAX, Session, config};

/// All sessions of a module. Handles start at 1 and are never used twice.
#[derive(Debug, Default)]
pub struct Table {
    sessions: BTreeMap<u32, Session>,
    last: u32,
}

impl Table {
    /// Makes a node of a config as in [`config`] and returns its handle.
    pub fn create(&mut self, config: &[u8], now: Micros) -> Result<u32, Failure> {
        if self.sessions.len() >= NODES_MAX {
            return Err(Failure::Full);
        }
        let session = Session::new(config::decode(config)?, now);
        self.last += 1;
        self.sessions.insert(self.last, session);
        Ok(self.last)
    }

    /// Forgets a node; an unknown handle is no matter.
    pub fn remove(&mut self, handle: u32) {
        self.sessions.remove(&handle);
    }

    /// The session with this handle.
    pub fn get(&mut self, handle: u32) -> Result<&mut Session, Failure> {
        self.sessions.get_mut(&handle).ok_or(Failure::Handle)
    }
}

/// A driver's clock, microseconds as a float, as the node's; nonsense becomes zero.
pub fn micros(float: f64) -> Micros {
    // A float-to-integer cast saturates and takes NaN for zero.
    Micros(float as u64)
}

#[cfg(test)]
mod tests {
    use peerstream_node::Input;

    use super::*;

    fn config() -> [u8; config::CONFIG_BYTES] {
        let mut bytes = [0; config::CONFIG_BYTES];
        bytes[..8].copy_from_slice(&[0, 2, 1, 0, 1, 0, 0, 0]);
        bytes
    }

    #[test]
    fn handles_are_never_used_twice() {
        let mut table = Table::default();
        let first = table.create(&config(), Micros(0)).unwrap();
        table.remove(first);
        let second = table.create(&config(), Micros(0)).unwrap();
        assert_ne!(first, second);
        assert_eq!(table.get(first).unwrap_err(), Failure::Handle);
        assert!(table.get(second).is_ok());
    }

    #[test]
    fn a_module_holds_a_bounded_number_of_nodes() {
        let mut table = Table::default();
        for _ in 0..NODES_MAX {
            table.create(&config(), Micros(0)).unwrap();
        }
        assert_eq!(table.create(&config(), Micros(0)), Err(Failure::Full));
    }

    #[test]
    fn nonsense_from_the_driver_is_no_panic() {
        let mut table = Table::default();
        let handle = table.create(&config(), micros(f64::NAN)).unwrap();
        let session = table.get(handle).unwrap();
        for bytes in [&[][..], &[0xff; 40], &[0; 4000]] {
            session.handle(micros(-5.0), Input::Control(bytes));
            session.handle(micros(f64::INFINITY), Input::Tick);
            session.handle(micros(1.0), Input::Tick);
        }
        for record in session.records() {
            let _ = session.bytes(record);
        }
    }

    #[test]
    fn times_saturate() {
        assert_eq!(micros(1.9), Micros(1));
        assert_eq!(micros(-1.0), Micros(0));
        assert_eq!(micros(f64::NAN), Micros(0));
        assert_eq!(micros(f64::INFINITY), Micros(u64::MAX));
    }
}
