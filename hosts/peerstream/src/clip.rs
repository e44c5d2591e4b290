//! The built-in clip in a loop: the input of `demo`.

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Ingest, IngestError, Kind, Stage};

use crate::assets;
use crate::bundle::Pipe;

/// The built-in clip in a loop.
#[derive(Debug)]
pub struct Clip {
    pipe: Pipe,
}

impl Plugin for Clip {
    const NAME: &'static str = "clip";
    const SUMMARY: &'static str = "a built-in clip in a loop, to try things out";
    const STABILITY: Stability = Stability::Stable;
    type Config = NoOptions;

    fn build(_: NoOptions, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        let missing = "this peerstream was built without the demo clip (hosts/peerstream/assets/demo.mp4)";
        let clip = assets::demo_clip().ok_or_else(|| PluginError::invalid(missing))?;
        Ok(Self { pipe: Pipe::from_bytes(clip, true) })
    }
}

impl Lifecycle for Clip {}

#[async_trait]
impl Ingest for Clip {
    fn kind(&self) -> Kind {
        self.pipe.kind()
    }

    async fn run(self: Box<Self>, stage: Stage) -> Result<(), IngestError> {
        Box::new(self.pipe).run(stage).await
    }
}

peerstream_sdk::export_plugin! { ingest: Clip }
