//! What a platform receives, and what becomes of its answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use peerstream_compliance_webhook::{Config, HEADER, Webhook, signature};
use peerstream_sdk::prelude::*;
use peerstream_sdk::serde_json::Value;
use peerstream_sdk::testkit::compliance::case;
use peerstream_sdk::traits::compliance::{
    Actor, ComplianceHandler, Decision, Digest, Profile, State, Step, Stored, Transition,
};

const SECRET: &str = "a secret of the platform";

struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

/// Answers one request after the other with these heads and bodies, and hands out what came.
fn platform(answers: Vec<(&'static str, Vec<u8>)>) -> (SocketAddr, mpsc::Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for (head, body) in answers {
            let (mut socket, _) = listener.accept().unwrap();
            sender.send(receive(&mut socket)).unwrap();
            let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            // Who is sent too much may hang up.
            let _ = socket.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    (address, requests)
}

fn receive(socket: &mut TcpStream) -> Request {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let len = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse::<usize>().unwrap();
            if bytes.len() >= end + 4 + len {
                return Request { head, body: bytes[end + 4..].to_vec() };
            }
        }
        let count = socket.read(&mut part).unwrap();
        assert!(count > 0, "the request broke off");
        bytes.extend(&part[..count]);
    }
}

async fn webhook(address: SocketAddr) -> Webhook {
    let url = format!("http://{address}/hook/token-of-the-path?key=hunter2");
    let config = Config { url, secret: Secret::new(SECRET), timeout_ms: 2_000, ..Config::default() };
    let webhook = Webhook::build(config, &BuildContext::new("webhook")).unwrap();
    webhook.start().await.unwrap();
    webhook
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_sees_the_signed_case_and_its_answer_is_the_decision() {
    let act = br#"{"decision":"reject","reason":"it is a parody"}"#.to_vec();
    let (address, requests) =
        platform(vec![("200 OK", act), ("204 No Content", Vec::new()), ("200 OK", b"{}".to_vec())]);
    let webhook = webhook(address).await;
    let (case, mut evidence) = case(7, Profile::Dmca, true);
    evidence.copy = Some(Stored { path: "/var/lib/host/secret-folder/copy".into(), blake3: Digest([7; 32]), bytes: 9 });
    let decision = webhook.assess(&case, &evidence).await.unwrap();
    assert_eq!(decision, Decision::Reject { reason: "it is a parody".into() });
    let request = requests.recv().unwrap();
    assert!(request.head.starts_with("post /hook/token-of-the-path?key=hunter2 "), "{}", request.head);
    assert_eq!(request.header("peerstream-delivery"), "case-7-r1");
    let signed = request.header(HEADER);
    let at_s = signed.split([',', '=']).nth(1).unwrap().parse().unwrap();
    assert_eq!(signed, signature(SECRET.as_bytes(), at_s, &request.body));
    let message: Value = peerstream_sdk::serde_json::from_slice(&request.body).unwrap();
    assert_eq!(message["event"], "assess");
    assert_eq!(message["case"], peerstream_sdk::serde_json::to_value(&case).unwrap());
    let copy = peerstream_sdk::serde_json::json!({ "blake3": "07".repeat(32), "bytes": 9 });
    assert_eq!((&message["evidence"]["copy"], &message["evidence"]["bundle"]), (&copy, &Value::Null));
    assert!(
        !String::from_utf8_lossy(&request.body).contains("secret-folder"),
        "where files are is the host's own matter"
    );
    assert_eq!(webhook.assess(&case, &evidence).await.unwrap(), Decision::Pass, "nothing to say is to pass");
    requests.recv().unwrap();
    let (from, to, by) = (State::Received, State::Screened, Actor::Clock);
    let transition = Transition { from, to, step: Step::Screen, by, at_us: 5 };
    webhook.on_transition(&case, &transition).await.unwrap();
    let request = requests.recv().unwrap();
    let message: Value = peerstream_sdk::serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&message["event"], &message["transition"]["to"]), (&"transition".into(), &"screened".into()));
    assert_eq!(request.header("peerstream-delivery"), "step-7-r1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_decision_leaves_the_case_open_and_tells_no_secret() {
    let answers = vec![
        ("200 OK", b"<html>".to_vec(), ErrorClass::Invalid),
        ("200 OK", br#"{"decision":"delete-everything"}"#.to_vec(), ErrorClass::Invalid),
        ("200 OK", vec![b' '; 100_000], ErrorClass::Invalid),
        ("302 Found\r\nLocation: http://127.0.0.1:9/", Vec::new(), ErrorClass::Invalid),
        ("503 Service Unavailable\r\nRetry-After: 7", Vec::new(), ErrorClass::Unavailable),
        ("401 Unauthorized", Vec::new(), ErrorClass::Denied),
    ];
    let classes: Vec<_> = answers.iter().map(|(_, _, class)| *class).collect();
    let (address, _requests) = platform(answers.into_iter().map(|(head, body, _)| (head, body)).collect());
    let webhook = webhook(address).await;
    let (case, evidence) = case(7, Profile::Dmca, true);
    for class in classes {
        let error = webhook.assess(&case, &evidence).await.unwrap_err();
        assert_eq!(error.class, class, "{error}");
        let pause = (class == ErrorClass::Unavailable).then_some(Duration::from_secs(7));
        assert_eq!(error.retry_after, pause, "{error}");
        let text = format!("{error:?}");
        assert!(!text.contains("hunter2") && !text.contains("token-of-the-path") && !text.contains(SECRET), "{text}");
    }
    // The platform has gone.
    let error = webhook.assess(&case, &evidence).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unavailable, "{error}");
    assert!(!format!("{webhook:?}{error:?}").contains(SECRET) && !error.to_string().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_silent_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config {
        url: format!("http://{}/", listener.local_addr().unwrap()),
        secret: Secret::new(SECRET),
        timeout_ms: 100,
        ..Config::default()
    };
    let webhook = Webhook::build(config, &BuildContext::new("webhook")).unwrap();
    webhook.start().await.unwrap();
    let (case, evidence) = case(7, Profile::Dmca, true);
    let error = webhook.assess(&case, &evidence).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Timeout, "{error}");
    webhook.stop(Duration::from_secs(1)).await.unwrap();
    assert_eq!(webhook.assess(&case, &evidence).await.unwrap_err().class, ErrorClass::Unavailable);
}
