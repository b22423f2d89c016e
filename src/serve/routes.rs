//! What is answered to which request: one table for the lecturer, one for the students.

use std::path::PathBuf;
use std::rc::Rc;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper::{Method, Request as HttpRequest, StatusCode, header};
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

use super::access::{Secret, is_allowed, protect};
use super::assets::{self, Asset};
use super::catalogue::{Catalogue, programs, scenarios};
use super::class::Class;
use super::connection::TokenBucket;
use super::job::{BeginError, CommandError, Jobs, MOST_LIVE};
use super::program::Program;
use super::protocol::{ClassRequest, Command, Refusal, Request, VERSION, Vote};
use super::reply::{Reply, json, not_found, refuse, text};
use super::stream::{Viewer, follow};
use super::worker::labs;
use super::worker::order::prepare;
use crate::lab::lang::Lang;
use crate::process::chain;

/// The longest body of a request.
const LONGEST_BODY: usize = 16 << 10;
/// How long a body may take.
const BODY: Duration = Duration::from_secs(5);

const HTML: &str = "text/html; charset=utf-8";

/// What all answers are made from.
pub(super) struct Site {
    pub(super) jobs: Jobs,
    /// The command that was given.
    pub(super) program: Option<Program>,
    /// A folder of further labs.
    pub(super) labs: Option<PathBuf>,
    pub(super) class: Option<Rc<Class>>,
    /// The students' addresses, and a QR code of the first.
    pub(super) class_addresses: Option<Vec<String>>,
    pub(super) qr: Option<Vec<String>>,
}

/// Who asks.
pub(super) enum Role {
    /// One who has the lecturer's address.
    Lecturer,
    /// One who has the students'.
    Student,
}

/// An address, behind whose secret everything is.
pub(super) struct Endpoint {
    pub(super) role: Role,
    pub(super) secret: Secret,
    pub(super) bucket: TokenBucket,
    pub(super) site: Rc<Site>,
}

impl Endpoint {
    /// Answers one request, which came to the address `own`.
    pub(super) async fn answer(&self, request: HttpRequest<Incoming>, own: SocketAddr) -> Reply {
        let mut reply = if !is_allowed(request.method(), request.headers(), own) {
            refuse(StatusCode::FORBIDDEN, &Refusal::OtherSite)
        } else if !self.bucket.take() {
            refuse(StatusCode::TOO_MANY_REQUESTS, &Refusal::TooManyRequests)
        } else {
            self.route(request).await
        };
        protect(reply.headers_mut());
        reply
    }

    async fn route(&self, request: HttpRequest<Incoming>) -> Reply {
        let path = request.uri().path().to_owned();
        let Some((word, rest)) =
            path.strip_prefix('/').map(|path| path.split_once('/').unwrap_or((path, "/")))
        else {
            return not_found();
        };
        if !self.secret.is(word) {
            return not_found();
        }
        if rest == "/" {
            let mut reply = text(StatusCode::PERMANENT_REDIRECT, HTML, "");
            if let Ok(value) = header::HeaderValue::from_str(&format!("/{word}/")) {
                reply.headers_mut().insert(header::LOCATION, value);
            }
            return reply;
        }
        let is_read = request.method() == Method::GET;
        if let Some(asset) = assets::find(rest).filter(|_| is_read) {
            return file(asset);
        }
        match self.role {
            Role::Lecturer => self.lecturer(rest, request).await,
            Role::Student => self.student(rest, request).await,
        }
    }

    async fn lecturer(&self, path: &str, request: HttpRequest<Incoming>) -> Reply {
        let site = &self.site;
        match (request.method(), path) {
            (&Method::GET, "") => text(StatusCode::OK, HTML, assets::LECTURER),
            (&Method::GET, "catalogue") => json(&Catalogue {
                version: VERSION,
                program: env!("CARGO_PKG_VERSION"),
                scenarios: scenarios(),
                programs: programs(),
                command: site.program.as_ref().map(|program| program.argv.clone()),
                class: site.class_addresses.clone(),
                qr: site.qr.clone(),
            }),
            (&Method::GET, "jobs") => json(&site.jobs.list()),
            (&Method::GET, "labs") => {
                let lang =
                    if parameter(&request, "lang").as_deref() == Some("zh") { Lang::Zh } else { Lang::En };
                json(&labs(site.labs.as_deref(), lang))
            }
            (&Method::GET, "events") => self.events(&request),
            (&Method::POST, "jobs") => match body::<Request>(request).await {
                Ok(request) => self.begin(request),
                Err(reply) => reply,
            },
            (&Method::POST, "class") => match (&site.class, body::<ClassRequest>(request).await) {
                (_, Err(reply)) => reply,
                (None, _) => refuse(StatusCode::NOT_FOUND, &Refusal::NoClass),
                (Some(class), Ok(request)) => done(class.request(request, &site.jobs)),
            },
            (&Method::POST, path) => match path.strip_prefix("jobs/").and_then(|id| site.jobs.find(id)) {
                None => not_found(),
                Some(job) => match body::<Command>(request).await {
                    Err(reply) => reply,
                    Ok(command) => match job.command(command) {
                        Ok(()) => json(&serde_json::json!({})),
                        Err(CommandError::Ended) => refuse(StatusCode::GONE, &Refusal::WorkerEnded),
                        Err(CommandError::Busy) => {
                            refuse(StatusCode::TOO_MANY_REQUESTS, &Refusal::WorkerBusy)
                        }
                    },
                },
            },
            (&Method::GET, path) => match path.strip_prefix("jobs/").and_then(|id| site.jobs.find(id)) {
                Some(job) => json(&job.view),
                None => not_found(),
            },
            _ => refuse(StatusCode::METHOD_NOT_ALLOWED, &Refusal::NoSuchMethod),
        }
    }

    async fn student(&self, path: &str, request: HttpRequest<Incoming>) -> Reply {
        let Some(class) = &self.site.class else { return not_found() };
        match (request.method(), path) {
            (&Method::GET, "") => text(StatusCode::OK, HTML, assets::STUDENT),
            (&Method::GET, "events") => {
                let Some(seat) = class.take_seat(parameter(&request, "voter").as_deref()) else {
                    return refuse(StatusCode::SERVICE_UNAVAILABLE, &Refusal::ClassFull);
                };
                let (job, class) = (None, Some(Rc::clone(class)));
                follow(Viewer { job, from: 0, class, seat: Some(seat) })
            }
            (&Method::POST, "vote") => match body::<Vote>(request).await {
                Ok(vote) => done(class.vote(&vote)),
                Err(reply) => reply,
            },
            _ => not_found(),
        }
    }

    fn events(&self, request: &HttpRequest<Incoming>) -> Reply {
        let id = parameter(request, "job");
        let job = id.as_deref().and_then(|id| self.site.jobs.find(id));
        if id.is_some() && job.is_none() {
            return refuse(StatusCode::NOT_FOUND, &Refusal::JobForgotten);
        }
        // What the browser has read before it lost the connection.
        let last = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
        let last = last.and_then(|last| last.split_once('.')).filter(|(job, _)| Some(*job) == id.as_deref());
        let from = last.and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
        follow(Viewer { job, from, class: self.site.class.clone(), seat: None })
    }

    fn begin(&self, request: Request) -> Reply {
        let prepared = match prepare(request, self.site.program.as_ref(), self.site.labs.as_deref()) {
            Ok(prepared) => prepared,
            Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
        };
        match self.site.jobs.begin(prepared) {
            Ok(job) => json(&job.view),
            Err(BeginError::TooMany) => {
                refuse(StatusCode::TOO_MANY_REQUESTS, &Refusal::TooManyJobs { most: MOST_LIVE })
            }
            Err(error) => {
                let why = Refusal::CannotStart { why: chain(&error) };
                refuse(StatusCode::SERVICE_UNAVAILABLE, &why)
            }
        }
    }
}

fn done(result: Result<(), Refusal>) -> Reply {
    match result {
        Ok(()) => json(&serde_json::json!({})),
        Err(why) => refuse(StatusCode::CONFLICT, &why),
    }
}

fn file(asset: &Asset) -> Reply {
    text(StatusCode::OK, asset.kind, asset.content)
}

/// A parameter of the query; these are numbers and letters, so nothing in them is encoded.
fn parameter(request: &HttpRequest<Incoming>, name: &str) -> Option<String> {
    let pairs = request.uri().query()?.split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// The body as a value, within bounds of size and time.
async fn body<T: DeserializeOwned>(request: HttpRequest<Incoming>) -> Result<T, Reply> {
    let is_json = |value: &header::HeaderValue| value.as_bytes().starts_with(b"application/json");
    if !request.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(refuse(status, &Refusal::NotJson));
    }
    let too_long = || refuse(StatusCode::PAYLOAD_TOO_LARGE, &Refusal::BodyTooLong);
    if request.body().size_hint().lower() > LONGEST_BODY as u64 {
        return Err(too_long());
    }
    let limited = Limited::new(request.into_body(), LONGEST_BODY).collect();
    let too_slow = |_| refuse(StatusCode::REQUEST_TIMEOUT, &Refusal::BodyTooSlow);
    let bytes = timeout(BODY, limited).await.map_err(too_slow)?.map_err(|_| too_long())?.to_bytes();
    serde_json::from_slice(&bytes)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, &Refusal::Malformed { why: error.to_string() }))
}
