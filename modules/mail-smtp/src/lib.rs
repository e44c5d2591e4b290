//! Mails through a mail server (SMTP), over TLS wherever the server's address says so.
//!
//! A mail has one recipient, whose address was checked, a subject of one line and a body of plain text. What strangers wrote is in the body, which
//! is encoded, so that no header can come out of it.

mod smtp;

pub use smtp::Smtp;
