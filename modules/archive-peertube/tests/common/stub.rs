//! A site that behaves as PeerTube 6.3 was seen to, with all its traps, and is small enough to be read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use peerstream_sdk::serde_json::{self, Value, json};

/// The site and what it was sent.
#[derive(Clone)]
pub struct Stub {
    pub url: String,
    site: Arc<Mutex<Site>>,
}

/// What the site knows, and how it is to misbehave.
#[derive(Default)]
pub struct Site {
    pub password: String,
    /// A second factor, if the account has one.
    pub otp: Option<String>,
    access: BTreeSet<String>,
    refresh: BTreeSet<String>,
    pub logins: u32,
    pub refreshes: u32,
    uploads: BTreeMap<String, Upload>,
    pub videos: Vec<Video>,
    pub playlists: Vec<Playlist>,
    next_id: u64,
    /// Each request's method, path and status.
    pub log: Vec<String>,
    /// So many of the next requests are too many.
    pub storm: u32,
    /// Bytes of videos and announced uploads that the account may have; 0 for no bound.
    pub quota_bytes: u64,
    /// The account may block videos.
    pub moderator: bool,
    /// The next chunk is read so far, and then the connection breaks.
    pub cut: Option<usize>,
    /// The answer to the next last chunk gets lost.
    pub lose_answer: bool,
    /// The answer to the next chunk says that the site has so much more than it was sent.
    pub lie: u64,
    /// A proxy in front takes no larger bodies; 0 for any.
    pub body_max: usize,
    /// Files are looked at and refused.
    pub unreadable: bool,
    /// The site does not answer.
    pub down: bool,
    /// Where live videos are pushed to.
    pub rtmp: Option<(String, String)>,
    /// No live videos.
    pub no_live: bool,
}

#[derive(Default)]
struct Upload {
    facts: Value,
    bytes: Vec<u8>,
    total: u64,
}

/// A video.
#[derive(Clone, Debug)]
pub struct Video {
    pub id: u64,
    pub uuid: String,
    pub facts: Value,
    pub bytes: Vec<u8>,
    pub blocked: bool,
    pub chapters: Value,
}

/// A playlist: its fields, and the numbers of its videos in order.
#[derive(Clone, Debug)]
pub struct Playlist {
    pub id: u64,
    pub fields: BTreeMap<String, String>,
    pub videos: Vec<u64>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

enum Reply {
    Json(u16, Value),
    With(u16, Vec<(&'static str, String)>, String),
    /// The connection breaks.
    Nothing,
}

impl Stub {
    pub fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let site = Site { password: "geheim".into(), moderator: true, next_id: 100, ..Site::default() };
        let stub = Self { url, site: Arc::new(Mutex::new(site)) };
        let served = stub.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let stub = served.clone();
                std::thread::spawn(move || stub.serve(stream));
            }
        });
        stub
    }

    pub fn site(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap()
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = path.strip_prefix("/api/v1").unwrap_or(path).to_owned();
        let len: usize = headers.get("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
        assert!(!headers.contains_key("transfer-encoding"), "PeerTube wants to know the length of everything");
        if self.site().down {
            return None;
        }
        let is_chunk = method == "PUT" && path == "/videos/upload-resumable" && len > 0;
        let cut = if is_chunk { self.site().cut.take() } else { None };
        let mut body = vec![0; cut.map_or(len, |cut| cut.min(len))];
        reader.read_exact(&mut body).ok()?;
        let request = Request { method, path, query: query.to_owned(), headers, body };
        let shown = format!("{} {}", request.method, request.path);
        let reply = self.site().answer(&request);
        let (status, headers, body) = match reply {
            _ if cut.is_some() => return None,
            Reply::Json(status, value) => (
                status,
                vec![("content-type", "application/json".to_owned())],
                if status == 204 { String::new() } else { value.to_string() },
            ),
            Reply::With(status, headers, body) => (status, headers, body),
            Reply::Nothing => return None,
        };
        self.site().log.push(format!("{shown} {status}"));
        let mut text = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).ok()
    }
}

fn problem(status: u16, code: &str, detail: &str) -> Reply {
    Reply::Json(status, json!({ "status": status, "code": code, "detail": detail }))
}

fn done() -> Reply {
    Reply::Json(204, Value::Null)
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Fields of a form, in parts or not.
    fn fields(&self) -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let Some((_, boundary)) = self.header("content-type").split_once("boundary=") else {
            return pairs(&text);
        };
        let mut fields = BTreeMap::new();
        for part in text.split(&format!("--{boundary}")) {
            let Some((head, value)) = part.split_once("\r\n\r\n") else { continue };
            let name = head.split("name=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            fields.insert(name.to_owned(), value.strip_suffix("\r\n").unwrap().to_owned());
        }
        fields
    }

    fn upload_id(&self) -> String {
        pairs(&self.query).remove("upload_id").unwrap_or_default()
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits: Vec<u8> = rest.by_ref().take(2).collect();
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

impl Site {
    /// All tokens for requests have expired.
    pub fn expire(&mut self) {
        self.access.clear();
    }

    /// All uploads under way are forgotten.
    pub fn forget(&mut self) {
        self.uploads.clear();
    }

    pub fn video(&self, part: usize) -> Option<&Video> {
        self.videos
            .iter()
            .find(|video| video.facts["name"].as_str().is_some_and(|name| name.ends_with(&format!("part {part}"))))
    }

    /// The numbers of the parts of a playlist, in order.
    pub fn order(&self, playlist: usize) -> Vec<usize> {
        let name = |id: &u64| self.videos.iter().find(|video| video.id == *id).unwrap().facts["name"].as_str().unwrap();
        self.playlists[playlist].videos.iter().map(|id| name(id).rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }

    pub fn count(&self, request: &str) -> usize {
        self.log.iter().filter(|line| line.starts_with(request)).count()
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn answer(&mut self, request: &Request) -> Reply {
        if self.storm > 0 {
            self.storm -= 1;
            let text = "Too many requests, please try again later.".to_owned();
            return Reply::With(429, vec![("retry-after", "1".into()), ("content-type", "text/html".into())], text);
        }
        let form = request.header("content-type").starts_with("application/x-www-form-urlencoded");
        if form && request.body.len() > 100_000 {
            return Reply::With(413, vec![], "request entity too large".into());
        }
        if self.body_max > 0 && request.body.len() > self.body_max {
            return Reply::With(413, vec![("content-type", "text/html".into())], "<html>nginx</html>".into());
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/oauth-clients/local") => {
                return Reply::Json(200, json!({ "client_id": "us", "client_secret": "and them" }));
            }
            ("POST", "/users/token") => return self.token(request),
            _ => {}
        }
        let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        if token.is_empty() {
            return problem(401, "unauthorized_request", "no token");
        }
        if !self.access.contains(token) {
            return problem(401, "invalid_token", "the token is invalid");
        }
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["users", "me"]) => Reply::Json(
                200,
                json!({ "account": { "name": "club" }, "videoChannels": [{ "id": 7, "name": "main" }, { "id": 8, "name": "side" }] }),
            ),
            ("GET", ["users", "me", "videos"]) => {
                let brief = |video: &Video| json!({ "id": video.id, "uuid": video.uuid, "name": video.facts["name"] });
                Reply::Json(200, json!({ "data": self.videos.iter().rev().map(brief).collect::<Vec<_>>() }))
            }
            (_, ["videos", "upload-resumable"]) => self.resumable(request),
            ("POST", ["videos", "live"]) => self.make_live(request),
            ("GET", ["videos", "live", uuid]) => {
                match (self.videos.iter().any(|video| video.uuid == *uuid), &self.rtmp) {
                    (true, Some((url, key))) => {
                        Reply::Json(200, json!({ "rtmpUrl": url, "rtmpsUrl": null, "streamKey": key }))
                    }
                    _ => problem(404, "not_found", "no such live video"),
                }
            }
            (_, ["videos", uuid, rest @ ..]) => self.of_video(request, uuid, rest),
            ("POST", ["video-playlists"]) => {
                let (id, fields) = (self.id(), request.fields());
                self.playlists.push(Playlist { id, fields, videos: Vec::new() });
                Reply::Json(200, json!({ "videoPlaylist": { "id": id, "uuid": format!("p{id}") } }))
            }
            ("GET", ["accounts", "club", "video-playlists"]) => {
                let brief = |list: &Playlist| json!({ "id": list.id, "description": list.fields["description"] });
                Reply::Json(200, json!({ "data": self.playlists.iter().rev().map(brief).collect::<Vec<_>>() }))
            }
            (_, ["video-playlists", id, rest @ ..]) => self.of_playlist(request, id, rest),
            _ => problem(404, "not_found", "no such address"),
        }
    }

    /// Renewing makes both tokens anew and kills the old ones.
    fn token(&mut self, request: &Request) -> Reply {
        let fields = request.fields();
        if fields.get("client_id").is_none_or(|id| id != "us") {
            return problem(400, "invalid_client", "client is invalid");
        }
        match fields["grant_type"].as_str() {
            "password" => {
                self.logins += 1;
                if fields["password"] != self.password {
                    return problem(400, "invalid_grant", "user credentials are invalid");
                }
                match (&self.otp, request.header("x-peertube-otp")) {
                    (Some(_), "") => {
                        let detail = json!({ "code": "missing_two_factor", "detail": "missing two factor header" });
                        return Reply::With(401, vec![("x-peertube-otp", "required; app".into())], detail.to_string());
                    }
                    (Some(code), shown) if code != shown => return problem(400, "invalid_two_factor", "invalid code"),
                    _ => {}
                }
            }
            _ if self.refresh.remove(&fields["refresh_token"]) => {
                self.refreshes += 1;
                self.access.clear();
            }
            _ => return problem(400, "invalid_grant", "refresh token is invalid"),
        }
        let id = self.id();
        let (access, refresh) = (format!("access-{id}"), format!("refresh-{id}"));
        self.access.insert(access.clone());
        self.refresh.insert(refresh.clone());
        Reply::Json(200, json!({ "access_token": access, "refresh_token": refresh, "expires_in": 86399 }))
    }

    fn resumable(&mut self, request: &Request) -> Reply {
        match request.method.as_str() {
            "POST" => self.announce(request),
            "DELETE" => match self.uploads.remove(&request.upload_id()) {
                Some(_) => done(),
                None => problem(404, "not_found", "no such upload"),
            },
            _ => self.chunk(request),
        }
    }

    fn announce(&mut self, request: &Request) -> Reply {
        let Ok(total) = request.header("x-upload-content-length").parse::<u64>() else {
            return problem(400, "bad_request", "x-upload-content-length is missing");
        };
        let facts = request.json();
        let chars = facts["name"].as_str().unwrap_or_default().chars().count();
        if !(3..=120).contains(&chars) || !facts["filename"].is_string() {
            return problem(400, "bad_request", "incorrect name or filename");
        }
        if facts["channelId"].as_u64().is_none_or(|id| id != 7 && id != 8) {
            return problem(400, "bad_request", "that is another's channel");
        }
        if request.header("x-upload-content-type") != "video/mp4" {
            return problem(415, "unsupported_media_type", "this file is not supported");
        }
        let used: u64 = self.videos.iter().map(|video| video.bytes.len() as u64).sum();
        if self.quota_bytes > 0 && used + total > self.quota_bytes {
            return problem(413, "quota_reached", "the user video quota is exceeded with this video");
        }
        let id = format!("{}/up&load", self.id());
        self.uploads.insert(id.clone(), Upload { facts, bytes: Vec::new(), total });
        let id = id.replace('/', "%2F").replace('&', "%26");
        // Without a scheme, and with a name that may be nobody's.
        let location = format!("//video.example.org/api/v1/videos/upload-resumable?upload_id={id}");
        Reply::With(201, vec![("location", location)], String::new())
    }

    fn chunk(&mut self, request: &Request) -> Reply {
        let id = request.upload_id();
        let (lie, unreadable) = (std::mem::take(&mut self.lie), self.unreadable);
        let Some(upload) = self.uploads.get_mut(&id) else { return problem(404, "not_found", "no such upload") };
        let range = request.header("content-range").strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        if range.1 != upload.total.to_string() {
            return problem(409, "FileConflict", "another file is there");
        }
        if let Some((from, _)) = range.0.split_once('-') {
            let from: usize = from.parse().unwrap();
            // A hole is filled with zeros and taken.
            let end = from + request.body.len();
            if upload.bytes.len() < end {
                upload.bytes.resize(end, 0);
            }
            upload.bytes[from..end].copy_from_slice(&request.body);
        }
        if (upload.bytes.len() as u64) < upload.total || lie > 0 {
            let has = upload.bytes.len() as u64 + lie;
            let range = if has == 0 { vec![] } else { vec![("range", format!("bytes=0-{}", has - 1))] };
            return Reply::With(308, range, String::new());
        }
        let Upload { facts, bytes, .. } = self.uploads.remove(&id).unwrap();
        if unreadable {
            return problem(422, "unprocessable", "Video file unreadable.");
        }
        let (id, uuid) = (self.id(), format!("uuid-{}", self.next_id));
        self.videos.push(Video { id, uuid: uuid.clone(), facts, bytes, blocked: false, chapters: Value::Null });
        if std::mem::take(&mut self.lose_answer) {
            return Reply::Nothing;
        }
        Reply::Json(200, json!({ "video": { "id": id, "uuid": uuid, "shortUUID": "x" } }))
    }

    fn make_live(&mut self, request: &Request) -> Reply {
        if self.no_live {
            return problem(403, "live_not_enabled", "Live is not enabled on this server");
        }
        let (id, facts) = (self.id(), json!(request.fields()));
        let uuid = format!("live-{id}");
        self.videos.push(Video { id, uuid: uuid.clone(), facts, bytes: vec![], blocked: false, chapters: Value::Null });
        Reply::Json(200, json!({ "video": { "id": id, "uuid": uuid } }))
    }

    fn of_video(&mut self, request: &Request, uuid: &str, rest: &[&str]) -> Reply {
        let moderator = self.moderator;
        let Some(at) = self.videos.iter().position(|video| video.uuid == uuid) else {
            return problem(404, "not_found", "video not found");
        };
        let video = &mut self.videos[at];
        match (request.method.as_str(), rest) {
            ("GET", []) => Reply::Json(200, json!({ "name": video.facts["name"], "support": video.facts["support"] })),
            ("PUT", []) => {
                for (name, value) in request.fields() {
                    video.facts[&name] = value.parse::<u64>().map_or(json!(value), |number| json!(number));
                }
                done()
            }
            ("DELETE", []) => {
                self.videos.remove(at);
                self.playlists
                    .iter_mut()
                    .for_each(|list| list.videos.retain(|id| self.videos.iter().any(|it| it.id == *id)));
                done()
            }
            ("PUT", ["chapters"]) => {
                video.chapters = request.json()["chapters"].clone();
                done()
            }
            (_, ["blacklist"]) if !moderator => problem(403, "forbidden", "the user has not enough rights"),
            ("POST", ["blacklist"]) if video.blocked => problem(409, "conflict", "this video is blocked already"),
            ("POST", ["blacklist"]) => {
                video.blocked = true;
                done()
            }
            ("DELETE", ["blacklist"]) => {
                video.blocked = false;
                done()
            }
            _ => problem(404, "not_found", "no such address"),
        }
    }

    fn of_playlist(&mut self, request: &Request, id: &str, rest: &[&str]) -> Reply {
        let Some(list) = self.playlists.iter_mut().find(|list| list.id.to_string() == id) else {
            return problem(404, "not_found", "playlist not found");
        };
        match (request.method.as_str(), rest) {
            ("PUT", []) => {
                list.fields = request.fields();
                done()
            }
            ("POST", ["videos"]) => {
                list.videos.push(request.json()["videoId"].as_u64().unwrap());
                Reply::Json(200, json!({ "videoPlaylistElement": { "id": 1 } }))
            }
            ("GET", ["videos"]) => {
                let element = |(at, id): (usize, &u64)| json!({ "id": at, "position": at + 1, "video": { "id": id } });
                Reply::Json(200, json!({ "data": list.videos.iter().enumerate().map(element).collect::<Vec<_>>() }))
            }
            ("POST", ["videos", "reorder"]) => {
                let number = |name: &str| request.json()[name].as_u64().unwrap() as usize;
                let (start, after) = (number("startPosition"), number("insertAfterPosition"));
                let moved = list.videos.remove(start - 1);
                list.videos.insert(if after >= start { after - 1 } else { after }, moved);
                done()
            }
            _ => problem(404, "not_found", "no such address"),
        }
    }
}
