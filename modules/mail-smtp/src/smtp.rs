//! The courier.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::{SmtpTransport, Transport as _};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::Secret;
use peerstream_sdk::traits::mail::{Courier, Letter};

/// Each answer of the server must come within this time.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends mails through one server, in whose name they are sent.
#[derive(Debug)]
pub struct Smtp {
    transport: SmtpTransport,
    from: Mailbox,
}

impl Smtp {
    /// Through a server such as `smtps://user:password@mail.example.org` or `smtp://mail.example.org:587?tls=required`; from an address such
    /// as `PeerStream <live@example.org>`. Opens nothing yet.
    ///
    /// # Errors
    /// One of them is no such address. The server's is not shown: it has a password in it.
    pub fn new(server: &Secret, from: &str) -> Result<Self, PluginError> {
        let expected = "expected one such as smtps://user:password@mail.example.org";
        let transport = SmtpTransport::from_url(server.reveal())
            .map_err(|_| PluginError::invalid(format!("the mail server's address cannot be read, {expected}")))?
            .timeout(Some(TIMEOUT))
            .build();
        let from = from.parse().map_err(|_| {
            PluginError::invalid("the sender's mail address cannot be read, expected one such as live@example.org")
        })?;
        Ok(Self { transport, from })
    }

    fn message(&self, letter: &Letter, id: &str) -> Result<Message, PluginError> {
        let to: Mailbox =
            letter.to().parse().map_err(|_| PluginError::invalid("the recipient's address cannot be read"))?;
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(letter.subject())
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            // No machine is to answer it.
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.body().to_owned())
            .map_err(|error| PluginError::invalid(error.to_string()))
    }
}

#[async_trait]
impl Courier for Smtp {
    async fn send(&self, letter: &Letter, id: &str) -> Result<(), PluginError> {
        let message = self.message(letter, id)?;
        let transport = self.transport.clone();
        let sent = tokio::task::spawn_blocking(move || transport.send(&message)).await;
        let sent = sent.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?;
        sent.map(drop).map_err(refused)
    }
}

/// Answers that are final and say nothing of the letter: the server takes none at all, or not from us as we are set up.
const OF_THE_SERVER: [u16; 5] = [521, 530, 534, 535, 538];

/// What the server said, without addresses.
fn refused(error: Error) -> PluginError {
    let of_the_letter = error.status().is_none_or(|code| !OF_THE_SERVER.contains(&code.into()));
    let class = if error.is_permanent() && of_the_letter { ErrorClass::Denied } else { ErrorClass::Unavailable };
    let status = error
        .status()
        .map_or_else(|| "the mail server cannot be reached".into(), |code| format!("the mail server answers {code}"));
    PluginError::new(class, status)
}

/// `Auto-Submitted: auto-generated`, RFC 3834.
#[derive(Clone, Debug)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".into())
    }
}
