//! The rules that every plug-in of this kind keeps.

use std::sync::Arc;

use peerstream_archive_rtmp_push::RtmpPush;

peerstream_sdk::archive_suite!(RtmpPush, || Arc::new(peerstream_sdk::testkit::build::<RtmpPush>()));
