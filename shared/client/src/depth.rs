//! Answers that can be read, however deep someone has nested what is in them.
//!
//! The API server stores JSON of ten thousand levels, in `metadata.managedFields` of any object that a person may write; the
//! reader of JSON that kube uses gives up at 128, and with one object all of its list. So whoever asks for access could keep
//! everybody's from being seen, or his own from being taken back. What lies too deep is left out on the way, and nothing
//! that has fields of Kubernetes' or of Oz's own is as deep.

use http::{Response, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame};

/// The most levels of an answer. A list, an event of a watch and the object in them are some of them.
const LEVELS: usize = 100;

/// Stands where something was left out.
const MARK: &[u8] = br#""(nested too deep to be read)""#;

/// The same answer, no deeper than can be read. What is no JSON, such as a stream or a log, stays as it is.
pub(crate) fn bounded<B>(answer: Response<B>) -> Response<impl Body<Data = Bytes, Error = B::Error> + Send>
where
    B: Body<Data = Bytes> + Send,
{
    let kind = answer.headers().get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let mut place = kind.is_some_and(|kind| kind.starts_with(b"application/json")).then(Place::default);
    answer.map(|body| {
        body.map_frame(move |frame: Frame<Bytes>| match &mut place {
            Some(place) => frame.map_data(|data| place.pass(data)),
            None => frame,
        })
    })
}

/// Where in the JSON an answer has come to.
#[derive(Debug, Default)]
struct Place {
    level: usize,
    /// Inside of a string.
    quoted: bool,
    /// Behind a backslash.
    escaped: bool,
}

impl Place {
    /// The next part of the answer, without what lies too deep.
    fn pass(&mut self, data: Bytes) -> Bytes {
        let mut kept: Option<Vec<u8>> = (self.level > LEVELS).then(Vec::new);
        let mut from = 0;
        for (at, byte) in data.iter().enumerate() {
            let before = self.level;
            self.step(*byte);
            if before == LEVELS && self.level > LEVELS {
                let kept = kept.get_or_insert_default();
                kept.extend_from_slice(&data[from..at]);
                kept.extend_from_slice(MARK);
            } else if before > LEVELS && self.level == LEVELS {
                from = at + 1;
            }
        }
        match kept {
            None => data,
            Some(kept) if self.level > LEVELS => kept.into(),
            Some(mut kept) => {
                kept.extend_from_slice(&data[from..]);
                kept.into()
            }
        }
    }

    fn step(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.quoted => self.escaped = true,
            b'"' => self.quoted = !self.quoted,
            _ if self.quoted => {}
            b'{' | b'[' => self.level += 1,
            b'}' | b']' => self.level = self.level.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn nested(levels: usize) -> String {
        format!(r#"{}"]}}"{}"#, r#"{"a":["#.repeat(levels / 2), "]}".repeat(levels / 2))
    }

    /// The text in parts of this length.
    fn passed(text: &str, length: usize) -> String {
        let mut place = Place::default();
        let parts = text.as_bytes().chunks(length).map(|part| place.pass(Bytes::copy_from_slice(part)));
        let passed: Vec<u8> = parts.flatten().collect();
        assert_eq!((place.level, place.quoted), (0, false));
        String::from_utf8(passed).unwrap()
    }

    #[test]
    fn what_is_not_too_deep_stays_as_it_is() {
        for text in [&nested(LEVELS), r#"{"a\"{[":"\\","b":[[],{}]}"#, "", "null", "\"[[[\""] {
            let data = Bytes::copy_from_slice(text.as_bytes());
            let same = Place::default().pass(data.clone());
            assert_eq!((same.as_ptr(), same.len()), (data.as_ptr(), data.len()), "nothing is copied: {text}");
            assert_eq!(passed(text, 1), *text);
        }
    }

    #[test]
    fn what_is_too_deep_is_left_out_and_marked() {
        for levels in [LEVELS + 2, 300, 20_000] {
            let deep = nested(levels);
            let text = format!(
                "{{\"before\":[1,{{}}],\"deep\":{deep},\"after\":\"]]\"}}\n{{\"next\":[{deep},2]}}\n"
            );
            let whole = passed(&text, text.len());
            for length in [1, 2, 3, 7, 1000] {
                assert_eq!(passed(&text, length), whole, "in parts of {length}");
            }
            let lines: Vec<serde_json::Value> =
                whole.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
            assert_eq!(lines[0]["before"], serde_json::json!([1, {}]));
            assert_eq!((&lines[0]["after"], &lines[1]["next"][1]), (&"]]".into(), &2.into()));
            let mut inner = &lines[0]["deep"];
            while let Some(next) = inner.get("a").map(|list| &list[0]).filter(|next| !next.is_null()) {
                inner = next;
            }
            assert!(inner.to_string().contains("nested too deep"), "{inner}");
        }
    }

    #[test]
    fn only_json_is_looked_at() {
        let deep = nested(400);
        for (kind, changed) in [
            ("application/json", true),
            ("application/json;stream=watch", true),
            ("text/plain", false),
            ("", false),
        ] {
            let mut answer = Response::new(Full::new(Bytes::from(deep.clone())));
            if !kind.is_empty() {
                answer.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
            }
            let body = std::pin::pin!(bounded(answer).into_body().collect());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let std::task::Poll::Ready(Ok(body)) = body.poll(&mut context) else { panic!("not at once") };
            assert_eq!(body.to_bytes() != deep.as_bytes(), changed, "{kind}");
        }
    }
}
