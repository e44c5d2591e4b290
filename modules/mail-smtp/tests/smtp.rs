//! Real conversations with a small mail server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use peerstream_mail_smtp::Smtp;
use peerstream_sdk::prelude::ErrorClass;
use peerstream_sdk::traits::Secret;
use peerstream_sdk::traits::mail::{Courier as _, Letter, Sender};

/// What a server was told: commands and the message.
#[derive(Debug, Default)]
struct Mail {
    commands: Vec<String>,
    data: Vec<String>,
}

/// A server that takes one connection and answers recipients so.
fn server(to_recipients: &'static str) -> (Secret, mpsc::Receiver<Mail>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Secret::new(format!("smtp://{}", listener.local_addr().unwrap()));
    let (sender, mails) = mpsc::channel();
    thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let _ = sender.send(converse(socket, to_recipients));
    });
    (url, mails)
}

fn converse(mut socket: TcpStream, to_recipients: &str) -> Mail {
    let mut mail = Mail::default();
    let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
    socket.write_all(b"220 here\r\n").unwrap();
    while let Some(Ok(line)) = lines.next() {
        let word = line.split(' ').next().unwrap_or_default().to_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-here\r\n250 8BITMIME",
            "RCPT" => to_recipients,
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        mail.commands.push(line);
        socket.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
        if word == "DATA" {
            mail.data.extend(lines.by_ref().map_while(Result::ok).take_while(|line| line != "."));
            socket.write_all(b"250 taken\r\n").unwrap();
            return mail;
        }
        if word == "QUIT" {
            return mail;
        }
    }
    mail
}

fn letter() -> Letter {
    let sender = Sender { url: "https://live.example.org".into() };
    sender.confirmation("a@example.org", &"ab".repeat(32)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_arrives_with_its_link_and_one_recipient() {
    let (url, mails) = server("250 fine");
    Smtp::new(&url, "PeerStream <live@example.org>").unwrap().send(&letter(), "0a1b").await.unwrap();
    let mail = mails.recv().unwrap();
    let recipients: Vec<_> = mail.commands.iter().filter(|line| line.starts_with("RCPT")).collect();
    assert_eq!(recipients, ["RCPT TO:<a@example.org>"]);
    let text = mail.data.join("\n");
    let (head, body) = text.split_once("\n\n").unwrap();
    for line in [
        "To: a@example.org",
        "Subject: Please confirm your notice",
        "Auto-Submitted: auto-generated",
        "Message-ID: <0a1b@example.org>",
    ] {
        assert!(head.lines().any(|it| it == line), "{line} in {head}");
    }
    // A long line may be folded for the way.
    let body = body.replace("=\n", "").replace("=3D", "=");
    assert!(body.contains(&format!("https://live.example.org/takedown/confirm#{}", "ab".repeat(32))), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_final_or_for_the_time_being_as_the_server_says() {
    let cases = [
        ("550 no such user", ErrorClass::Denied),
        ("450 later", ErrorClass::Unavailable),
        // A password that was mistyped must not cost the mails that wait.
        ("535 authentication failed", ErrorClass::Unavailable),
    ];
    for (answer, class) in cases {
        let (url, _mails) = server(answer);
        let error = Smtp::new(&url, "live@example.org").unwrap().send(&letter(), "0a1b").await.unwrap_err();
        assert_eq!(error.class, class, "{error}");
        assert!(!error.to_string().contains("a@example.org"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_tried_again() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = Secret::new(format!("smtp://127.0.0.1:{port}"));
    let error = Smtp::new(&url, "live@example.org").unwrap().send(&letter(), "0a1b").await.unwrap_err();
    assert!(error.class.is_temporary(), "{error}");
}

#[test]
fn what_is_no_address_is_refused_without_its_password() {
    let error = Smtp::new(&Secret::new("smtps://user:hunter2@:::"), "live@example.org").unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
    let good = Secret::new("smtps://user:hunter2@mail.example.org");
    assert!(Smtp::new(&good, "live@example.org\r\nBcc: x@example.org").is_err());
    assert!(!format!("{:?}", Smtp::new(&good, "live@example.org").unwrap()).contains("hunter2"));
}
