//! Who is let in.

use std::time::{Duration, Instant};

use peerstream_admission::token::{Claims, sign};
use peerstream_admission::work::solve;
use peerstream_admission::{Open, Token, TokenConfig, Work, WorkConfig};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::admission::{AdmissionPolicy, JoinRequest, Task, Verdict};

const NOW_S: u64 = 1_800_000_000;

fn request(proof: Option<String>) -> JoinRequest {
    JoinRequest { stream: "ab".repeat(32), network: "192.0.2.1".into(), proof, now_us: NOW_S * 1_000_000 }
}

fn secret() -> Secret {
    Secret::new("correct horse battery staple, twice")
}

fn token() -> Token {
    let config = TokenConfig { secret: secret(), leeway_s: 0, ..TokenConfig::default() };
    Token::build(config, &BuildContext::new("admission")).unwrap()
}

async fn work(bits: u8) -> Work {
    let work = Work::build(WorkConfig { bits, ..WorkConfig::default() }, &BuildContext::new("admission")).unwrap();
    work.start().await.unwrap();
    work
}

fn claims() -> Claims {
    Claims { exp: NOW_S as f64 + 60.0, nbf: None, stream: None }
}

fn is_allowed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allow { .. })
}

async fn puzzle(work: &Work, request: &JoinRequest) -> String {
    match work.admit(request).await.unwrap() {
        Verdict::Challenge { task: Task::Work { puzzle, .. } } => puzzle,
        verdict => panic!("{verdict:?}"),
    }
}

#[tokio::test]
async fn everybody_may_come_through_an_open_door() {
    assert!(Open.is_open() && is_allowed(&Open.admit(&request(None)).await.unwrap()));
}

#[tokio::test]
async fn a_token_lets_in_while_it_holds_and_for_its_stream() {
    let stream = |stream: &str| Claims { stream: Some(stream.repeat(32)), ..claims() };
    for (claims, allowed) in [
        (claims(), true),
        (stream("AB"), true),
        (stream("cd"), false),
        (Claims { exp: NOW_S as f64 - 1.0, ..claims() }, false),
        (Claims { nbf: Some(NOW_S as f64 + 9.0), ..claims() }, false),
        (Claims { nbf: Some(NOW_S as f64 - 9.0), ..claims() }, true),
    ] {
        let verdict = token().admit(&request(Some(sign(&secret(), &claims)))).await.unwrap();
        assert_eq!(is_allowed(&verdict), allowed, "{claims:?}: {verdict:?}");
    }
    assert_eq!(token().admit(&request(None)).await.unwrap(), Verdict::Challenge { task: Task::Token });
}

#[tokio::test]
async fn a_token_that_was_made_or_changed_by_others_is_refused_without_a_word_on_the_secret() {
    let good = sign(&secret(), &claims());
    let (head, rest) = good.split_once('.').unwrap();
    let (body, seal) = rest.split_once('.').unwrap();
    // {"alg":"none"}
    let none = "eyJhbGciOiJub25lIn0";
    let forged = [
        sign(&Secret::new("another secret of thirty-two bytes."), &claims()),
        format!("{none}.{body}."),
        format!("{none}.{body}.{seal}"),
        format!("{head}.{body}.{}", seal.replace(&seal[..1], if seal.starts_with('A') { "B" } else { "A" })),
        format!("{head}.{}.{seal}", body.to_lowercase()),
        String::new(),
        "a.b.c".into(),
        "x".repeat(4_000),
    ];
    for proof in forged {
        let verdict = token().admit(&request(Some(proof.clone()))).await.unwrap();
        let Verdict::Deny { message } = verdict else { panic!("{proof} was let in") };
        assert!(!message.contains("horse") && !message.contains(&seal[..8]));
    }
    assert!(!format!("{:?}", token()).contains("horse"));
}

#[test]
fn a_short_secret_is_told_without_showing_it() {
    let mut violations = Violations::default();
    TokenConfig { secret: Secret::new("hunter2"), ..TokenConfig::default() }.validate(&mut violations);
    let all = format!("{violations:?}");
    assert!(all.contains("has 7 bytes, expected at least 32") && !all.contains("hunter2"), "{all}");
    assert!(Token::build(TokenConfig::default(), &BuildContext::new("admission")).is_err());
}

#[tokio::test]
async fn a_solved_puzzle_lets_in_from_its_network_and_in_its_time_alone() {
    let work = work(10).await;
    let asked = request(None);
    let answer = solve(&puzzle(&work, &asked).await, 10);
    assert!(is_allowed(&work.admit(&request(Some(answer.clone()))).await.unwrap()));
    let elsewhere = JoinRequest { network: "192.0.2.2".into(), ..request(Some(answer.clone())) };
    assert!(!is_allowed(&work.admit(&elsewhere).await.unwrap()));
    let other_stream = JoinRequest { stream: "cd".repeat(32), ..request(Some(answer.clone())) };
    assert!(!is_allowed(&work.admit(&other_stream).await.unwrap()));
    let late = JoinRequest { now_us: asked.now_us + 121_000_000, ..request(Some(answer.clone())) };
    assert!(!is_allowed(&work.admit(&late).await.unwrap()));
    let early = JoinRequest { now_us: asked.now_us - 1_000_000, ..request(Some(answer.clone())) };
    assert!(!is_allowed(&work.admit(&early).await.unwrap()));
}

#[tokio::test]
async fn an_answer_without_the_work_is_another_puzzle() {
    let work = work(20).await;
    let puzzle = puzzle(&work, &request(None)).await;
    let easy = solve(&puzzle, 3);
    for proof in [easy, format!("{puzzle}:"), puzzle.clone(), "x".into(), "ff-00:1".into(), format!(":{puzzle}")] {
        let verdict = work.admit(&request(Some(proof))).await.unwrap();
        assert!(matches!(verdict, Verdict::Challenge { .. }), "{verdict:?}");
    }
    let unstarted = Work::build(WorkConfig::default(), &BuildContext::new("admission")).unwrap();
    assert_eq!(unstarted.admit(&request(None)).await.unwrap_err().class, ErrorClass::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_newcomers_at_once_are_answered() {
    let (work, token) = (work(4).await, token());
    let began = Instant::now();
    let answer = solve(&puzzle(&work, &request(None)).await, 4);
    let proof = sign(&secret(), &claims());
    let (work, token) = (std::sync::Arc::new(work), std::sync::Arc::new(token));
    let mut all = Vec::new();
    for n in 0..10_000 {
        let (work, token, answer, proof) = (work.clone(), token.clone(), answer.clone(), proof.clone());
        all.push(tokio::spawn(async move {
            let verdict = match n % 2 {
                0 => work.admit(&request(Some(answer))).await,
                _ => token.admit(&request(Some(proof))).await,
            };
            is_allowed(&verdict.unwrap())
        }));
    }
    for admitted in all {
        assert!(admitted.await.unwrap());
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
