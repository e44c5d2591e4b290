//! The library an application embeds: tokio drivers around node and coordinator.
