//! The live video: permanent, so that a connection that breaks is no end, and its address stays the same from show to show.

use std::path::PathBuf;

use peerstream_archive_rtmp_push::Target;

use crate::api::Api;
use crate::config::Config;
use crate::failure::Failure;
use crate::peertube::{live_file, read_or_none};
use crate::show::Video;
use crate::{files, words};

/// Makes the live video ready.
#[derive(Debug)]
pub(crate) struct Live {
    config: Config,
    file: PathBuf,
}

impl Live {
    pub(crate) fn new(config: &Config) -> Self {
        Self { config: config.clone(), file: live_file(config) }
    }

    /// Where to push to. The video is made when there is none, and called what is on now.
    pub(crate) fn ready(&self, api: &Api, title: Option<&str>) -> Result<Target, Failure> {
        let known = read_or_none::<Video>(&self.file);
        let address = known.as_ref().map(|video| api.live_address(&video.uuid)).transpose();
        let address = match address {
            Ok(Some(address)) => {
                let name = words::live_name(&self.config, title);
                if let (Some(video), Err(failure)) = (&known, self.rename(api, known.as_ref(), name)) {
                    tracing::warn!(video = video.uuid, "the live video keeps its name: {}", failure.why());
                }
                address
            }
            Ok(None) | Err(Failure::Gone { .. }) => self.make(api, title)?,
            Err(failure) => return Err(failure),
        };
        let url = address.rtmps_url.or(address.rtmp_url).filter(|url| !url.is_empty());
        let url = url.ok_or_else(|| Failure::refused("the site gives no address for RTMP"))?;
        Ok(Target { url, key: address.stream_key })
    }

    fn rename(&self, api: &Api, video: Option<&Video>, name: String) -> Result<(), Failure> {
        video.map_or(Ok(()), |video| api.update(&video.uuid, vec![("name", name)]))
    }

    fn make(&self, api: &Api, title: Option<&str>) -> Result<crate::api::LiveAddress, Failure> {
        let made = api.make_live(words::live(&self.config, title, api.channel()?));
        let video = made.map_err(|failure| match failure {
            Failure::Unfit { why } => Failure::refused(why),
            failure => failure,
        })?;
        files::write(&self.file, &video)?;
        api.live_address(&video.uuid)
    }
}
