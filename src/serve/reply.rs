//! Answers to requests.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

use super::protocol::Refusal;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An answer.
pub(super) type Reply = Response<Body>;

/// A text of this media type.
pub(super) fn text(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(text.into()).boxed_unsync());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

/// A value.
pub(super) fn json(value: &impl Serialize) -> Reply {
    let text_of = serde_json::to_string(value).unwrap_or_default();
    text(StatusCode::OK, "application/json", text_of)
}

/// Why not, and what to do.
pub(super) fn refuse(status: StatusCode, why: &Refusal) -> Reply {
    let mut value = serde_json::to_value(why).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("error".to_owned(), why.to_string().into());
        fields.insert("hint".to_owned(), why.hint().into());
    }
    text(status, "application/json", value.to_string())
}

/// What is answered to one who does not belong here, whatever the reason.
pub(super) fn not_found() -> Reply {
    text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "not found\n")
}

/// What comes through a channel, until it is closed.
pub(super) fn events(pieces: mpsc::Receiver<Bytes>) -> Reply {
    let mut reply = Response::new(Pieces(pieces).boxed_unsync());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    reply
}

struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
