//! One file becomes a video: a resumable upload, strictly in order.
//!
//! PeerTube takes a chunk that leaves a hole, and says then that it has all before it. So nothing is sent but what follows what it
//! has, and every answer is held against what was sent: a site that has more than it was sent gets the file anew.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use peerstream_sdk::prelude::*;
use serde_json::Value;
use ureq::http::Method;

use crate::api::Api;
use crate::config::CHUNK_BYTES;
use crate::failure::Failure;
use crate::http::{Answer, Body, Call};
use crate::show::{Progress, Video};

/// Answers in a row that say that nothing has come; then it is left for later.
const STUCK_MAX: u32 = 5;

/// Keeps how far an upload is; an error interrupts it.
pub(crate) type Keep<'a> = dyn FnMut(Option<&Progress>) -> Result<(), Failure> + 'a;

/// A file on its way.
pub(crate) struct Upload<'a> {
    pub(crate) api: &'a Api,
    pub(crate) file: File,
    /// Bytes of the file.
    pub(crate) total: u64,
    /// The media type.
    pub(crate) mime: &'a str,
    /// What is known of the video, as PeerTube wants it.
    pub(crate) facts: &'a Value,
    /// Its name and the mark in its `support` field, by which it is found when an answer got lost.
    pub(crate) mark: (&'a str, &'a str),
    /// Bytes in one request.
    pub(crate) chunk_bytes: u32,
    /// On the disk before anything is sent that it says.
    pub(crate) keep: &'a mut Keep<'a>,
}

/// What became of an upload that was interrupted.
enum Resumed {
    /// It is a video.
    Done(Video),
    /// It goes on from here.
    On(Progress),
}

/// What the site says of an upload.
enum Standing {
    /// It has so many bytes.
    At(u64),
    /// It has made a video of it.
    Done(Video),
    /// It knows nothing of it.
    Gone,
    /// A proxy takes smaller requests only.
    TooLarge,
}

impl Upload<'_> {
    /// Sends what the site does not have. What was under way is gone on with.
    pub(crate) fn run(mut self, progress: Option<Progress>) -> Result<Video, Failure> {
        let mut progress = match progress {
            Some(progress) => match self.resume(progress)? {
                Resumed::Done(video) => return Ok(video),
                Resumed::On(progress) => progress,
            },
            None => self.begin()?,
        };
        let mut stuck = 0;
        loop {
            let before = progress.offset;
            if let Some(video) = self.send_chunk(&mut progress)? {
                return Ok(video);
            }
            stuck = if progress.offset > before { 0 } else { stuck + 1 };
            if stuck > STUCK_MAX {
                return Err(Failure::later(format!("the site stays at byte {before} of {}", self.total)));
            }
        }
    }

    /// Asks how far an upload is that was interrupted; it begins anew if need be.
    fn resume(&mut self, mut progress: Progress) -> Result<Resumed, Failure> {
        let range = format!("bytes */{}", self.total);
        let answer = self.api.call(&put(&progress.id, &[], range))?;
        match self.standing(&answer)? {
            Standing::Done(video) => Ok(Resumed::Done(video)),
            Standing::At(has) if has > progress.sent => Err(self.hole(&progress, has)),
            Standing::At(has) => {
                progress.offset = has;
                Ok(Resumed::On(progress))
            }
            Standing::TooLarge => Err(answer.failure("asking how far an upload is")),
            Standing::Gone => match self.gone(&progress)? {
                Some(video) => Ok(Resumed::Done(video)),
                None => self.begin().map(Resumed::On),
            },
        }
    }

    /// The site knows nothing of an upload: if all was sent it may have made a video of it, and the answer got lost.
    fn gone(&mut self, progress: &Progress) -> Result<Option<Video>, Failure> {
        let (name, mark) = self.mark;
        let found = if progress.sent >= self.total { self.api.find(name, mark)? } else { None };
        if found.is_none() {
            (self.keep)(None)?;
        }
        Ok(found)
    }

    /// Announces the file. Quotas are refused here, before anything was sent.
    fn begin(&mut self) -> Result<Progress, Failure> {
        let call = Call::new(Method::POST, "/videos/upload-resumable").with(Body::Json(self.facts.clone()));
        let call = call.header("x-upload-content-length", self.total.to_string());
        let answer = self.api.call(&call.header("x-upload-content-type", self.mime))?;
        if !answer.is_good() {
            return Err(match answer.status {
                // Without PeerTube's own word it is the site's bound of a file.
                413 if answer.code() != "quota_reached" => Failure::unfit(answer.words()),
                _ => answer.failure("announcing an upload"),
            });
        }
        // The address may lack its scheme, or be that of another name of the site: what counts is the name of the upload.
        let location = answer.header("location").unwrap_or_default();
        let id = upload_id(location)
            .ok_or_else(|| Failure::later(format!("the site names no upload: `{}`", shown(location))))?;
        let progress = Progress { id, offset: 0, sent: 0 };
        (self.keep)(Some(&progress))?;
        Ok(progress)
    }

    /// Sends the bytes that follow what the site has; a video when those were the last.
    fn send_chunk(&mut self, progress: &mut Progress) -> Result<Option<Video>, Failure> {
        let len = u64::from(self.chunk_bytes).min(self.total - progress.offset.min(self.total));
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        self.file.seek(SeekFrom::Start(progress.offset))?;
        self.file.read_exact(&mut bytes)?;
        let end = progress.offset + len;
        progress.sent = progress.sent.max(end);
        (self.keep)(Some(progress))?;
        let range = match len {
            0 => format!("bytes */{}", self.total),
            _ => format!("bytes {}-{}/{}", progress.offset, end - 1, self.total),
        };
        let answer = self.api.call(&put(&progress.id, &bytes, range))?;
        match self.standing(&answer)? {
            Standing::Done(video) => return Ok(Some(video)),
            Standing::At(has) if has > end => return Err(self.hole(progress, has)),
            Standing::At(has) => progress.offset = has,
            Standing::TooLarge => self.chunk_bytes = (self.chunk_bytes / 2).max(*CHUNK_BYTES.start()),
            Standing::Gone => match self.gone(progress)? {
                Some(video) => return Ok(Some(video)),
                None => return Err(Failure::later("the site has forgotten an upload: it begins anew")),
            },
        }
        (self.keep)(Some(progress))?;
        Ok(None)
    }

    fn standing(&mut self, answer: &Answer) -> Result<Standing, Failure> {
        #[derive(Deserialize)]
        struct Made {
            video: Named,
        }
        #[derive(Deserialize)]
        struct Named {
            id: u64,
            uuid: String,
        }
        match answer.status {
            308 => {
                let has = answer.header("range").map_or(Some(0), had);
                has.map(Standing::At).ok_or_else(|| Failure::later("the site does not say what it has"))
            }
            200..300 => {
                let Made { video: Named { id, uuid } } = answer.json()?;
                Ok(Standing::Done(Video { id, uuid }))
            }
            404 => Ok(Standing::Gone),
            413 if answer.code() != "quota_reached" && self.chunk_bytes > *CHUNK_BYTES.start() => {
                Ok(Standing::TooLarge)
            }
            // Another length, or another file under this name.
            409 => {
                (self.keep)(None)?;
                Err(Failure::later(format!("the site has another file under this upload ({})", answer.words())))
            }
            // The site has looked at the file and dropped the upload.
            422 => {
                (self.keep)(None)?;
                Err(Failure::unfit(answer.words()))
            }
            _ => Err(answer.failure("uploading")),
        }
    }

    /// The site says that it has more than it was sent: there is a hole in its file. It is thrown away.
    fn hole(&mut self, progress: &Progress, has: u64) -> Failure {
        // Whether it hears that or not, nothing more is added to it.
        let _ = self.api.call(&Call::new(Method::DELETE, address(&progress.id)).header("content-length", "0"));
        if let Err(failure) = (self.keep)(None) {
            return failure;
        }
        let sent = progress.sent;
        Failure::later(format!("the site says that it has {has} bytes of which {sent} were sent: it begins anew"))
    }
}

/// An upload's address.
fn address(id: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/videos/upload-resumable?upload_id={id}")
}

/// A chunk, or with none of its bytes the question how far it is.
fn put<'a>(id: &str, bytes: &'a [u8], range: String) -> Call<'a> {
    Call::new(Method::PUT, address(id)).with(Body::Chunk(bytes, range))
}

/// How many bytes a `Range` says are there: `bytes=0-99` are 100.
fn had(range: &str) -> Option<u64> {
    let last = range.trim().strip_prefix("bytes=0-").or_else(|| range.trim().strip_prefix("0-"))?;
    last.parse::<u64>().ok()?.checked_add(1)
}

/// The name of an upload out of its address.
fn upload_id(location: &str) -> Option<String> {
    let (_, query) = location.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    let found = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "upload_id");
    found.map(|(_, id)| id.into_owned()).filter(|id| !id.is_empty() && id.len() <= 1_024)
}

/// An address as people may see it.
fn shown(location: &str) -> String {
    location.chars().filter(|char| !char.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_name_of_an_upload_is_found_in_any_address() {
        for address in [
            "//video.example.org/api/v1/videos/upload-resumable?upload_id=a%2Fb",
            "https://x/y?z=1&upload_id=a/b#top",
            "/api?upload_id=a/b",
        ] {
            assert_eq!(upload_id(address).as_deref(), Some("a/b"), "{address}");
        }
        assert_eq!((upload_id("//host/x"), upload_id("?upload_id=")), (None, None));
    }

    #[test]
    fn what_the_site_has_is_read_from_its_range() {
        assert_eq!((had("bytes=0-99"), had("0-0"), had("bytes=5-9"), had("")), (Some(100), Some(1), None, None));
        assert_eq!(had("bytes=0-18446744073709551615"), None);
    }

    proptest! {
        #[test]
        fn any_address_and_any_range_are_read(text in ".*") {
            let _ = (upload_id(&text), had(&text));
            prop_assert!(shown(&text).chars().count() <= 100);
        }
    }
}
