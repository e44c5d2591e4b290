//! What a collector receives, read with the published protobufs.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::{Batch, Event, Figure, FigureKind, Record, Report, TelemetrySink, What};
use peerstream_telemetry_otlp::{Config, Otlp};
use prost::Message;

struct Request {
    head: String,
    body: Vec<u8>,
}

/// Answers one request after the other, and hands out what came.
fn collector(answers: Vec<(&'static str, Vec<u8>)>) -> (SocketAddr, mpsc::Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut socket, _) = listener.accept().unwrap();
            sender.send(receive(&mut socket)).unwrap();
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            socket.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    (address, requests)
}

fn receive(socket: &mut TcpStream) -> Request {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let len =
                head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            if bytes.len() >= end + 4 + len {
                return Request { head, body: bytes[end + 4..].to_vec() };
            }
        }
        let count = socket.read(&mut part).unwrap();
        assert!(count > 0, "the request broke off");
        bytes.extend(&part[..count]);
    }
}

async fn sink(address: SocketAddr) -> Otlp {
    let config = Config {
        endpoint: format!("http://{address}/"),
        authorization: Secret::new("Bearer hunter2"),
        service_instance: "one".into(),
        reports: true,
        ..Config::default()
    };
    let sink = Otlp::build(config, &BuildContext::new("otlp")).unwrap();
    sink.start().await.unwrap();
    sink
}

fn figure(name: &str, kind: FigureKind, value: f64, state: &str) -> Record {
    let labels = BTreeMap::from([("state".to_owned(), state.to_owned())]);
    Record { at_us: 5, what: What::Figure(Figure { name: name.into(), help: "help".into(), kind, value, labels }) }
}

fn event() -> Record {
    let fields = [("count", 3.into()), ("share", 0.5.into()), ("to", "n7".into()), ("yes", true.into())];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Record { at_us: 7, what: What::Event(Event { name: "moved".into(), node: Some("n5".into()), fields }) }
}

fn batch() -> Batch {
    let node = "n5".to_owned();
    let report = Report { node, lag_ms: 120, delivered: 9, skipped: 1, depth: None, children: 2 };
    vec![
        figure("nodes", FigureKind::Gauge, 42.5, "a"),
        figure("joins", FigureKind::Counter, 7.0, "a"),
        figure("joins", FigureKind::Counter, 8.0, "b"),
        event(),
        Record { at_us: 6, what: What::Report(report) },
    ]
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_protobufs_read_what_is_sent() {
    let (address, requests) = collector(vec![("200 OK", vec![]), ("200 OK", vec![])]);
    let report = sink(address).await.write(batch()).await.unwrap();
    assert_eq!((report.accepted, report.rejected.len()), (5, 0));

    let request = requests.recv().unwrap();
    assert!(request.head.starts_with("post /v1/metrics http/1.1"), "{}", request.head);
    assert!(request.head.contains("content-type: application/x-protobuf"), "{}", request.head);
    assert!(request.head.contains("authorization: bearer hunter2"), "{}", request.head);
    let metrics = ExportMetricsServiceRequest::decode(&request.body[..]).unwrap();
    let resource = &metrics.resource_metrics[0];
    let attributes = &resource.resource.as_ref().unwrap().attributes;
    let names: Vec<_> = attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(names, ["service.name", "service.instance.id"]);
    let metrics = &resource.scope_metrics[0].metrics;
    let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let nodes =
        ["node_lag_ms", "node_delivered", "node_skipped", "node_children"].map(|name| format!("peerstream.{name}"));
    assert_eq!(names[..2], ["peerstream.joins", "peerstream.nodes"]);
    assert_eq!(names[2..], nodes);
    let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("a counter is a sum") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    let values: Vec<_> = sum.data_points.iter().map(|point| point.value).collect();
    assert_eq!(values, [Some(Number::AsDouble(7.0)), Some(Number::AsDouble(8.0))]);
    assert_eq!(sum.data_points[0].time_unix_nano, 5_000);
    assert!(sum.data_points[0].start_time_unix_nano > 1_700_000_000_000_000_000);
    assert_eq!(sum.data_points[1].attributes[0].key, "state");
    let Some(Data::Gauge(gauge)) = &metrics[1].data else { panic!("a gauge is one") };
    assert_eq!(gauge.data_points[0].value, Some(Number::AsDouble(42.5)));

    let request = requests.recv().unwrap();
    assert!(request.head.starts_with("post /v1/logs "), "{}", request.head);
    let logs = ExportLogsServiceRequest::decode(&request.body[..]).unwrap();
    let log = &logs.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((log.time_unix_nano, log.severity_number), (7_000, 9));
    assert_eq!(log.event_name, "peerstream.moved");
    assert_eq!(log.body.clone().unwrap().value, Some(Value::StringValue("moved".into())));
    let value = |name: &str| {
        let found = log.attributes.iter().find(|attribute| attribute.key == name).unwrap();
        found.value.clone().unwrap().value.unwrap()
    };
    assert_eq!(value("node"), Value::StringValue("n5".into()));
    assert_eq!((value("count"), value("share")), (Value::IntValue(3), Value::DoubleValue(0.5)));
    assert_eq!((value("to"), value("yes")), (Value::StringValue("n7".into()), Value::BoolValue(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_refuses_in_part_is_reported() {
    let partial = ExportMetricsPartialSuccess { rejected_data_points: 2, error_message: "too old".into() };
    let answer = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let (address, _requests) = collector(vec![("200 OK", answer), ("200 OK", vec![])]);
    let report = sink(address).await.write(batch()).await.unwrap();
    assert_eq!((report.accepted, report.rejected.len()), (3, 2));
    assert!(report.rejected.iter().all(|(index, _)| *index != 3), "the event was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_taken_in_part_is_not_sent_twice() {
    let busy = "503 Busy\r\nRetry-After: 9";
    let (address, requests) = collector(vec![("200 OK", vec![]), (busy, vec![]), ("200 OK", vec![])]);
    let (sink, batch) = (sink(address).await, batch());
    let error = sink.write(batch.clone()).await.unwrap_err();
    assert_eq!((error.class, error.retry_after.unwrap().as_secs()), (ErrorClass::Unavailable, 9));
    assert_eq!(sink.write(batch).await.unwrap().accepted, 5);
    let paths: Vec<_> = requests.iter().map(|request| request.head.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(paths, ["/v1/metrics", "/v1/logs", "/v1/logs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_apart_and_never_show_the_secret() {
    for (status, class) in [
        ("401 No", ErrorClass::Denied),
        ("429 Slow", ErrorClass::RateLimited),
        ("404 Where", ErrorClass::NotFound),
        ("400 Bad", ErrorClass::Invalid),
    ] {
        let (address, _requests) = collector(vec![(status, vec![])]);
        let error = sink(address).await.write(batch()).await.unwrap_err();
        assert_eq!(error.class, class);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(sink(nobody).await.write(batch()).await.unwrap_err().class, ErrorClass::Unavailable);
}
