//! What stands in the folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use peerstream_compliance_queue::{Config, Queue};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::{Case, ComplianceHandler, Contact, Decision, Notice, Regime};

fn case(id: u64, revision: u32) -> Case {
    let notice = Notice {
        regime: Regime::Dsa,
        claimant: Contact { name: "A. Author".into(), ..Contact::default() },
        subject: "a film".into(),
        explanation: "it is shown".into(),
        from_s: None,
        to_s: None,
        statements: BTreeMap::new(),
        signature: None,
    };
    Case { id, revision, opened_us: 5, stream: "ab".repeat(32), epoch: 9, notice }
}

async fn queue(folder: &Path, cases_max: usize) -> Queue {
    let queue = Queue::build(Config { folder: folder.to_owned(), cases_max }, &BuildContext::new("queue")).unwrap();
    queue.start().await.unwrap();
    queue
}

fn files(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_case_waits_as_a_file_however_often_it_comes() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("complaints");
    let first = queue(&folder, 10).await;
    for case in [case(1, 1), case(1, 1), case(1, 2), case(12, 1)] {
        assert_eq!(first.assess(&case).await.unwrap(), Decision::Queue);
    }
    assert_eq!(queue(&folder, 10).await.assess(&case(1, 1)).await.unwrap(), Decision::Queue);
    assert_eq!(files(&folder), ["case-000001-r1.json", "case-000001-r2.json", "case-000012-r1.json"]);
    let text = std::fs::read(folder.join("case-000012-r1.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Case>(&text).unwrap(), case(12, 1));
}

#[tokio::test]
async fn a_full_folder_leaves_a_case_open_and_known_ones_stay_known() {
    let folder = tempfile::tempdir().unwrap();
    let queue = queue(folder.path(), 2).await;
    for id in 1..=2 {
        queue.assess(&case(id, 1)).await.unwrap();
    }
    assert_eq!(queue.assess(&case(3, 1)).await.unwrap_err().class, ErrorClass::Unavailable);
    assert_eq!(queue.assess(&case(2, 1)).await.unwrap(), Decision::Queue);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_it_creates_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("complaints");
    queue(&folder, 2).await.stop(Duration::from_secs(1)).await.unwrap();
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}
