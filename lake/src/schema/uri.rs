//! URI references of schemas, resolved as RFC 3986 says.
//!
//! Covers what schemas use. Whatever a library could spell in another way (upper case in hosts, usual ports, queries, percent signs) is
//! not resolved: then the caller must not rely on it. Invariant: two URIs that it returns name one resource only if they are equal.

/// The base of a document that has no URI of its own.
pub(super) const ROOT: &str = "json-schema:///";

struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
}

/// The absolute URI of a reference without fragment; `None` if that is not certain.
pub(super) fn resolve(base: &str, reference: &str) -> Option<String> {
    let reference = parts(reference)?;
    if let Some(scheme) = reference.scheme {
        return write(scheme, reference.authority, reference.path);
    }
    let base = parts(base)?;
    let scheme = base.scheme?;
    if reference.authority.is_some() {
        return write(scheme, reference.authority, reference.path);
    }
    if reference.path.is_empty() {
        return write(scheme, base.authority, base.path);
    }
    base.authority?;
    if reference.path.starts_with('/') {
        return write(scheme, base.authority, reference.path);
    }
    let folder = base.path.rfind('/').map_or("/", |end| &base.path[..=end]);
    write(scheme, base.authority, &format!("{folder}{}", reference.path))
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    if !text.bytes().all(is_usual) {
        return None;
    }
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if !scheme.contains('/') => (Some(scheme), rest),
        _ => (None, text),
    };
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
    };
    if !scheme.is_none_or(is_scheme) {
        return None;
    }
    match rest.strip_prefix("//") {
        None => Some(Parts { scheme, authority: None, path: rest }),
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let is_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            let (host, port) = authority.split_once(':').unwrap_or((authority, "1"));
            // Those that a scheme has anyway may be left out.
            let is_port =
                !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && !["80", "443"].contains(&port);
            // An empty path and "/" may be one.
            let is_plain = host.bytes().all(is_host) && is_port && !path.is_empty();
            is_plain.then_some(Parts { scheme, authority: Some(authority), path })
        }
    }
}

fn write(scheme: &str, authority: Option<&str>, path: &str) -> Option<String> {
    match authority {
        Some(authority) => Some(format!("{scheme}://{authority}{}", without_dots(path))),
        // Such as a URN, which has no folders.
        None => {
            let is_plain = !path.is_empty() && !path.split('/').any(|segment| matches!(segment, "" | "." | ".."));
            is_plain.then(|| format!("{scheme}:{path}"))
        }
    }
}

/// An absolute path without `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}
