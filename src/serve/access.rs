//! Access control: the secret in the address, the name in `Host`, the page in `Origin`.
//!
//! The secret is part of the path, so no cookie exists that another site's request could carry, and what the server
//! sends is never cached or framed. A wrong secret gets the answer of a path that does not exist.

use std::net::SocketAddr;

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::{Method, header};
use subtle::ConstantTimeEq;

/// Letters that cannot be confused when read aloud or from a projector.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A random word in an address, known only to those who were given the address.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// A random secret of `length` letters, 5 bits each.
    pub(super) fn random(length: usize) -> Self {
        let letters = (0..length).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]));
        Self(letters.collect())
    }

    /// The word, for use in an address.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `word` equals the secret, compared in constant time.
    pub(super) fn is(&self, word: &str) -> bool {
        self.0.as_bytes().ct_eq(word.as_bytes()).into()
    }
}

/// A secret is not written into logs.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Whether a request is addressed to this server and comes from its own page.
///
/// `own` is the address at which the connection arrived. `Host` must name exactly that: as numbers, or as `localhost`
/// for a loopback address. A name that another site has bound to this address (DNS rebinding) is refused, since no name
/// but `localhost` is taken.
pub(super) fn is_allowed(method: &Method, headers: &HeaderMap, own: SocketAddr) -> bool {
    let Some(host) = single(headers, &HOST).filter(|host| names(host, own)) else { return false };
    let is_same = |origin: &str| origin.strip_prefix("http://") == Some(host);
    match (headers.contains_key(ORIGIN), single(headers, &ORIGIN)) {
        (true, Some(origin)) if is_same(origin) => {}
        (true, _) => return false,
        // Browsers send `Origin` with every request that can change something.
        (false, _) if method != Method::GET => return false,
        (false, _) => {}
    }
    // Where a browser sends more it is respected: another site may open the page in a window, and nothing else.
    match single(headers, &HeaderName::from_static("sec-fetch-site")) {
        None | Some("same-origin" | "none") => true,
        Some(_) => {
            let told = |name: &'static str| single(headers, &HeaderName::from_static(name));
            method == Method::GET
                && told("sec-fetch-dest") == Some("document")
                && told("sec-fetch-mode") == Some("navigate")
        }
    }
}

/// The value of a header that must occur at most once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}

fn names(host: &str, own: SocketAddr) -> bool {
    if host.parse::<SocketAddr>() == Ok(own) {
        return true;
    }
    let localhost = host.strip_suffix(&format!(":{}", own.port()));
    own.ip().is_loopback() && localhost.is_some_and(|name| name.eq_ignore_ascii_case("localhost"))
}

/// Only this server's own scripts, styles and answers, whatever text is shown.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds the security headers that every answer has.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        is_allowed(&method, &map, "127.0.0.1:4000".parse().unwrap())
    }

    #[test]
    fn only_the_address_itself_is_a_host() {
        let get = |host| asked(Method::GET, &[("host", host)]);
        assert!(get("127.0.0.1:4000") && get("localhost:4000") && get("LOCALHOST:4000"));
        for host in [
            "",
            "127.0.0.1",
            "127.0.0.1:80",
            "evil.example:4000",
            "localhost",
            "127.0.0.1:4000.evil",
            "0.0.0.0:4000",
        ] {
            assert!(!get(host), "{host}");
        }
        assert!(!asked(Method::GET, &[]));
        assert!(!asked(Method::GET, &[("host", "127.0.0.1:4000"), ("host", "evil.example")]));
    }

    #[test]
    fn another_sites_page_can_neither_ask_nor_change_anything() {
        let own = ("host", "127.0.0.1:4000");
        assert!(asked(Method::POST, &[own, ("origin", "http://127.0.0.1:4000")]));
        assert!(!asked(Method::POST, &[own]), "a browser always says it");
        for origin in ["null", "http://evil.example", "https://127.0.0.1:4000", "http://localhost:4000", ""] {
            assert!(!asked(Method::POST, &[own, ("origin", origin)]), "{origin}");
            assert!(!asked(Method::GET, &[own, ("origin", origin)]), "{origin}");
        }
        assert!(!asked(Method::GET, &[own, ("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "script")]));
        let window = [
            own,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert!(asked(Method::GET, &window) && !asked(Method::POST, &window));
    }

    #[test]
    fn a_secret_is_itself_alone() {
        let secret = Secret::random(26);
        assert_eq!(secret.as_str().len(), 26);
        assert!(secret.is(secret.as_str()));
        assert!(
            !secret.is("") && !secret.is(&secret.as_str()[1..]) && !secret.is(Secret::random(26).as_str())
        );
    }
}
