//! `/`: to whom the status page is given, and with which headers. What it says is rendered elsewhere.
//!
//! # Guarantees
//! - It is given to nobody whom the settings in force do not name, and to nobody who asks under a host name that is not
//!   known: a website can let its own name point to this machine, and its scripts would then read the page as theirs
//!   (DNS rebinding). An address can't be bent like that, so whoever asks by address is answered.
//! - Nothing in it can run, load or send anything: the headers allow one style, by its digest, and no more.
//! - At most one page a second is rendered, whoever asks how often.

use crate::edge::settings::{Audience, PageSettings};
use aws_smithy_types::base64;
use axum::body::Bytes;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The one query that is understood: the page loads itself again and again.
const REFRESH: &str = "refresh";

/// The page's own headers: nothing may embed it, and nothing but its style is allowed in it.
const HEADERS: [(&str, &str); 6] = [
    ("content-type", "text/html; charset=utf-8"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("x-robots-tag", "noindex, nofollow"),
];

/// The settings in force, asked at each request: they may be read again while the daemon runs.
pub type Ask = dyn Fn() -> PageSettings + Send + Sync;

/// Renders the page as of then.
pub type Render = dyn Fn(Refresh, Timestamp) -> String + Send + Sync;

/// Whether the page loads itself again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// When a person does it.
    Never,
    /// Again and again.
    Often,
}

/// The status page. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Page {
    settings: Arc<Ask>,
    render: Arc<Render>,
    policy: HeaderValue,
    /// What was rendered last, and in which second: as it is loaded by a person, and by itself.
    rendered: Arc<Mutex<[Rendered; 2]>>,
}

/// A page, and the second that it is of.
type Rendered = Option<(i64, Bytes)>;

impl Page {
    /// A page whose one `<style>` has exactly this text.
    pub fn new(style: &str, settings: Arc<Ask>, render: Arc<Render>) -> Page {
        let digest = base64::encode(Sha256::digest(style));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        // Base64 is made of characters that a header may have.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Page { settings, render, policy, rendered: Arc::default() }
    }

    /// Who gets it now.
    pub fn settings(&self) -> PageSettings {
        (self.settings)()
    }

    /// Answers a request that reached an address which is, or is not, of the loopback.
    pub(super) fn answer(&self, is_loopback: bool, uri: &Uri, headers: &HeaderMap, now: Timestamp) -> Response {
        let settings = self.settings();
        match settings.audience {
            Audience::Anyone => (),
            Audience::Loopback if is_loopback => (),
            Audience::Loopback => {
                let text = "The status page is only given at a loopback address, and this is none.\n\
                            `daemon.page = \"on\"` gives it to whoever reaches this address.\n";
                return (StatusCode::NOT_FOUND, text).into_response();
            }
            Audience::Nobody => {
                let text = "The status page is off: `daemon.page = \"off\"`.\n";
                return (StatusCode::NOT_FOUND, text).into_response();
            }
        }
        if !host(uri, headers).is_some_and(|host| is_known(&host, &settings.hosts)) {
            let text = "The status page is not known under this host name: ask by IP address or as localhost, or name \
                        the host in `daemon.page_hosts`.\n";
            return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
        }
        let refresh = match uri.query() {
            Some(REFRESH) => Refresh::Often,
            _ => Refresh::Never,
        };
        let mut response = self.html(refresh, now).into_response();
        for (name, value) in HEADERS {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        response
    }

    /// As of this second.
    fn html(&self, refresh: Refresh, now: Timestamp) -> Bytes {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let [by_person, by_itself] = &mut *rendered;
        let last = match refresh {
            Refresh::Never => by_person,
            Refresh::Often => by_itself,
        };
        match last {
            Some((second, html)) if *second == now.as_second() => html.clone(),
            _ => {
                let html = Bytes::from((self.render)(refresh, now));
                *last = Some((now.as_second(), html.clone()));
                html
            }
        }
    }
}

/// The host that the client believes to ask, without its port.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => {
            let mut all = headers.get_all(header::HOST).iter();
            let (first, second) = (all.next()?, all.next());
            let text = first.to_str().ok().filter(|_| second.is_none())?;
            text.parse::<Authority>().ok()?
        }
    };
    // Nothing stands before the host, and behind it a port at the most.
    let behind = authority.as_str().strip_prefix(authority.host())?;
    let is_host = behind.is_empty() || behind.starts_with(':');
    is_host.then(|| authority.host().trim_end_matches('.').to_ascii_lowercase())
}

fn is_known(host: &str, names: &[String]) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    // Browsers never ask a name server for `localhost`.
    let is_localhost = host == "localhost" || host.ends_with(".localhost");
    address.parse::<IpAddr>().is_ok() || is_localhost || names.iter().any(|name| name == host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn at() -> Timestamp {
        "2026-01-05T10:00:00Z".parse().unwrap()
    }

    fn page(audience: Audience, hosts: &[&str]) -> Page {
        let settings = PageSettings { audience, hosts: hosts.iter().map(ToString::to_string).collect() };
        Page::new("p{}", Arc::new(move || settings.clone()), Arc::new(|refresh, _| format!("<p>{refresh:?}")))
    }

    fn headers(host: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(host).unwrap())])
    }

    fn status(page: &Page, is_loopback: bool, host: &str) -> u16 {
        page.answer(is_loopback, &Uri::from_static("/"), &headers(host), at()).status().as_u16()
    }

    #[rstest]
    #[case(Audience::Loopback, true, 200)]
    #[case(Audience::Loopback, false, 404)]
    #[case(Audience::Anyone, true, 200)]
    #[case(Audience::Anyone, false, 200)]
    #[case(Audience::Nobody, true, 404)]
    #[case(Audience::Nobody, false, 404)]
    fn the_settings_say_who_gets_it(#[case] audience: Audience, #[case] is_loopback: bool, #[case] expected: u16) {
        assert_eq!(status(&page(audience, &[]), is_loopback, "127.0.0.1:8787"), expected);
    }

    #[rstest]
    #[case("127.0.0.1:8787", 200)]
    #[case("127.0.0.1", 200)]
    #[case("[::1]:8787", 200)]
    #[case("10.0.3.7:8787", 200)]
    #[case("localhost:9000", 200)]
    #[case("LOCALHOST.:9000", 200)]
    #[case("tunnel.localhost", 200)]
    #[case("unthrottled.internal:8787", 200)]
    #[case("Unthrottled.Internal", 200)]
    #[case("evil.example:8787", 421)]
    #[case("localhost.evil.example", 421)]
    #[case("127.0.0.1.evil.example", 421)]
    #[case("evil.unthrottled.internal", 421)]
    #[case("notlocalhost", 421)]
    #[case("127.0.0.1@evil.example", 421)]
    #[case("evil.example@127.0.0.1", 421)]
    #[case("[::1].evil.example", 421)]
    #[case("", 421)]
    fn a_name_that_is_not_known_is_refused(#[case] host: &str, #[case] expected: u16) {
        assert_eq!(status(&page(Audience::Loopback, &["unthrottled.internal"]), true, host), expected);
    }

    #[test]
    fn a_host_has_to_be_said_once() {
        let page = page(Audience::Loopback, &[]);
        let ask = |uri: &'static str, headers: &HeaderMap| {
            page.answer(true, &Uri::from_static(uri), headers, at()).status().as_u16()
        };
        assert_eq!(ask("/", &HeaderMap::new()), 421);
        let mut twice = headers("localhost");
        twice.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(ask("/", &twice), 421);
        assert_eq!(ask("http://evil.example/", &headers("localhost")), 421, "what is asked for counts");
    }

    #[test]
    fn the_style_is_allowed_by_its_digest_and_nothing_else_is() {
        let response = page(Audience::Loopback, &[]).answer(true, &Uri::from_static("/"), &headers("localhost"), at());
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_string();
        // printf 'p{}' | openssl dgst -sha256 -binary | openssl base64
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; style-src 'sha256-gG2yISYereRMiG2lMXrbiUgi0Ubw9p7QCeWcroOvy9Y='; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
    }

    #[rstest]
    #[case("/", [true, false])]
    #[case("/?refresh", [false, true])]
    #[case("/?refresh=%3Cscript%3E", [true, false])]
    fn one_query_is_understood(#[case] uri: &'static str, #[case] expected: [bool; 2]) {
        let page = page(Audience::Loopback, &[]);
        let response = page.answer(true, &Uri::from_static(uri), &headers("localhost"), at());
        assert_eq!(response.status(), 200);
        assert_eq!(page.rendered.lock().unwrap().each_ref().map(Option::is_some), expected);
    }

    #[test]
    fn one_page_a_second_is_rendered() {
        let times = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&times);
        let render = move |_, at: Timestamp| format!("{} {at}", counted.fetch_add(1, Ordering::Relaxed));
        let nobody = PageSettings { audience: Audience::Nobody, hosts: Vec::new() };
        let page = Page::new("", Arc::new(move || nobody.clone()), Arc::new(render));
        let first = page.html(Refresh::Never, at());
        assert_eq!(page.html(Refresh::Never, at()), first);
        assert_eq!(times.load(Ordering::Relaxed), 1);
        assert_ne!(page.html(Refresh::Often, at()), first);
        assert_eq!(page.html(Refresh::Never, at()), first, "neither drives the other out");
        assert_ne!(page.html(Refresh::Never, "2026-01-05T10:00:01Z".parse().unwrap()), first);
        assert_eq!(times.load(Ordering::Relaxed), 3);
    }
}
