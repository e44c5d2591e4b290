//! What is asked of the site, one function for each.

use peerstream_sdk::prelude::*;
use serde_json::{Value, json};
use ureq::http::Method;

use crate::config::Config;
use crate::failure::Failure;
use crate::http::{Answer, Body, Call, Http};
use crate::login::Login;
use crate::show::{Chapter, Video};

/// The latest videos that are looked through for one whose upload was not confirmed.
const SEARCHED_MAX: usize = 20;
/// The parts of a playlist that are asked for at once, and how many times.
const PAGE: usize = 100;
const PAGES_MAX: usize = 50;

/// The site, as an account sees it.
#[derive(Debug)]
pub(crate) struct Api {
    http: Http,
    login: Login,
    channel: String,
}

/// An element of a playlist.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Element {
    /// Counted from 1.
    pub(crate) position: u64,
    /// None if it was deleted.
    pub(crate) video: Option<ElementVideo>,
}

/// A video in a playlist.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ElementVideo {
    pub(crate) id: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    video_channels: Vec<Channel>,
    account: Account,
}

#[derive(Deserialize)]
struct Channel {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Account {
    name: String,
}

#[derive(Deserialize)]
struct Listed<T> {
    data: Vec<T>,
}

/// Where a live video is pushed to.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveAddress {
    pub(crate) rtmp_url: Option<String>,
    pub(crate) rtmps_url: Option<String>,
    pub(crate) stream_key: Secret,
}

/// Fields of a form.
pub(crate) type Fields = Vec<(&'static str, String)>;

impl Api {
    /// Tokens are stored in this file, if any.
    pub(crate) fn new(config: &Config, http: Http, tokens: Option<std::path::PathBuf>) -> Self {
        Self { login: Login::new(config, http.clone(), tokens), http, channel: config.channel.clone() }
    }

    /// Whether the account can be used.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.channel().map(drop)
    }

    /// Makes a call with a token; once more with another token when the site does not take this one.
    pub(crate) fn call(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let token = self.login.token()?;
        let answer = self.http.send(call, Some(&token))?;
        if answer.status != 401 {
            return Ok(answer);
        }
        self.http.send(call, Some(&self.login.renewed(&token)?))
    }

    fn good(&self, what: &str, call: &Call<'_>) -> Result<Answer, Failure> {
        let answer = self.call(call)?;
        if answer.is_good() { Ok(answer) } else { Err(answer.failure(what)) }
    }

    fn me(&self) -> Result<Me, Failure> {
        self.good("asking who we are", &Call::new(Method::GET, "/users/me"))?.json()
    }

    /// The number of the channel that the config names.
    pub(crate) fn channel(&self) -> Result<u64, Failure> {
        let channels = self.me()?.video_channels;
        let found = channels.iter().find(|channel| self.channel.is_empty() || channel.name == self.channel);
        found.map(|channel| channel.id).ok_or_else(|| {
            let known: Vec<_> = channels.iter().map(|channel| channel.name.as_str()).collect();
            Failure::refused(format!("there is no channel `{}`; known: {}", self.channel, known.join(", ")))
        })
    }

    /// The account's video that carries this mark, among the latest.
    pub(crate) fn find(&self, name: &str, mark: &str) -> Result<Option<Video>, Failure> {
        #[derive(Deserialize)]
        struct Found {
            id: u64,
            uuid: String,
            name: String,
        }
        let path = format!("/users/me/videos?start=0&count={SEARCHED_MAX}&sort=-createdAt");
        let latest: Listed<Found> = self.good("looking through the videos", &Call::new(Method::GET, path))?.json()?;
        for Found { id, uuid, .. } in latest.data.into_iter().filter(|video| video.name == name) {
            let whole: Value =
                self.good("looking at a video", &Call::new(Method::GET, format!("/videos/{uuid}")))?.json()?;
            if whole["support"].as_str().is_some_and(|support| support.contains(mark)) {
                return Ok(Some(Video { id, uuid }));
            }
        }
        Ok(None)
    }

    /// Changes a video.
    pub(crate) fn update(&self, video: &str, fields: Fields) -> Result<(), Failure> {
        let call = Call::new(Method::PUT, format!("/videos/{video}")).with(Body::Multipart(fields));
        self.good("changing a video", &call).map(drop)
    }

    pub(crate) fn delete(&self, video: &str) -> Result<(), Failure> {
        self.good("deleting a video", &Call::new(Method::DELETE, format!("/videos/{video}"))).map(drop)
    }

    pub(crate) fn chapters(&self, video: &str, chapters: &[Chapter]) -> Result<(), Failure> {
        let list = chapters.iter().map(|chapter| json!({ "timecode": chapter.at_s, "title": chapter.title }));
        let body = Body::Json(json!({ "chapters": list.collect::<Vec<_>>() }));
        let call = Call::new(Method::PUT, format!("/videos/{video}/chapters")).with(body);
        self.good("telling the chapters", &call).map(drop)
    }

    /// Blocks a video, as moderators can; it may be blocked already.
    pub(crate) fn block(&self, video: &str) -> Result<(), Failure> {
        let body = Body::Json(json!({ "reason": "withheld by the publisher's host" }));
        let answer = self.call(&Call::new(Method::POST, format!("/videos/{video}/blacklist")).with(body))?;
        if answer.is_good() || answer.status == 409 { Ok(()) } else { Err(answer.failure("blocking a video")) }
    }

    /// Takes a block away; it may be away already.
    pub(crate) fn unblock(&self, video: &str) -> Result<(), Failure> {
        let answer = self.call(&Call::new(Method::DELETE, format!("/videos/{video}/blacklist")))?;
        if answer.is_good() || answer.status == 404 { Ok(()) } else { Err(answer.failure("unblocking a video")) }
    }

    /// Makes a playlist and gives its number.
    pub(crate) fn make_playlist(&self, fields: Fields) -> Result<u64, Failure> {
        let call = Call::new(Method::POST, "/video-playlists").with(Body::Multipart(fields));
        let made: Value = self.good("making a playlist", &call)?.json()?;
        made["videoPlaylist"]["id"].as_u64().ok_or_else(|| Failure::later("the site names no number of a playlist"))
    }

    pub(crate) fn update_playlist(&self, playlist: u64, fields: Fields) -> Result<(), Failure> {
        let call = Call::new(Method::PUT, format!("/video-playlists/{playlist}")).with(Body::Multipart(fields));
        self.good("changing a playlist", &call).map(drop)
    }

    /// The account's playlist whose description carries this mark, among the latest.
    pub(crate) fn find_playlist(&self, mark: &str) -> Result<Option<u64>, Failure> {
        #[derive(Deserialize)]
        struct Found {
            id: u64,
            description: Option<String>,
        }
        let account = self.me()?.account.name;
        let path = format!("/accounts/{account}/video-playlists?start=0&count={SEARCHED_MAX}&sort=-createdAt");
        let latest: Listed<Found> =
            self.good("looking through the playlists", &Call::new(Method::GET, path))?.json()?;
        let marked = |found: &Found| found.description.as_ref().is_some_and(|text| text.contains(mark));
        Ok(latest.data.into_iter().find(marked).map(|found| found.id))
    }

    /// All elements of a playlist, in order.
    pub(crate) fn elements(&self, playlist: u64) -> Result<Vec<Element>, Failure> {
        let mut all = Vec::new();
        for page in 0..PAGES_MAX {
            let path = format!("/video-playlists/{playlist}/videos?start={}&count={PAGE}", page * PAGE);
            let listed: Listed<Element> = self.good("reading a playlist", &Call::new(Method::GET, path))?.json()?;
            let is_last = listed.data.len() < PAGE;
            all.extend(listed.data);
            if is_last {
                break;
            }
        }
        all.sort_by_key(|element| element.position);
        Ok(all)
    }

    /// Adds a video at the end of a playlist.
    pub(crate) fn list(&self, playlist: u64, video: u64) -> Result<(), Failure> {
        let body = Body::Json(json!({ "videoId": video }));
        let call = Call::new(Method::POST, format!("/video-playlists/{playlist}/videos")).with(body);
        self.good("adding to a playlist", &call).map(drop)
    }

    /// Moves an element of a playlist behind another one; 0 is the front.
    pub(crate) fn reorder(&self, playlist: u64, position: u64, after: u64) -> Result<(), Failure> {
        let body = Body::Json(json!({ "startPosition": position, "insertAfterPosition": after, "reorderLength": 1 }));
        let call = Call::new(Method::POST, format!("/video-playlists/{playlist}/videos/reorder")).with(body);
        self.good("putting a playlist in order", &call).map(drop)
    }

    /// Makes a live video.
    pub(crate) fn make_live(&self, fields: Fields) -> Result<Video, Failure> {
        let call = Call::new(Method::POST, "/videos/live").with(Body::Multipart(fields));
        let made: Value = self.good("making a live video", &call)?.json()?;
        serde_json::from_value(json!({ "id": made["video"]["id"], "uuid": made["video"]["uuid"] }))
            .map_err(|_| Failure::later("the site names no number of a live video"))
    }

    /// Where a live video is pushed to.
    pub(crate) fn live_address(&self, video: &str) -> Result<LiveAddress, Failure> {
        self.good("asking for the stream key", &Call::new(Method::GET, format!("/videos/live/{video}")))?.json()
    }
}
