//! System errors that a test can't provoke.

use super::*;
use crate::{
    ErrorKind::{Invalid, Retry},
    store::{kind_of, reason},
};

fn reported(kind: ErrorKind) -> Error {
    failed("write", Path::new("/lake/raw/a\nb"))(kind.into())
}

#[test]
fn a_full_disk_says_what_to_do_and_may_be_retried() {
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        let error = reported(kind);
        let words = "the disk of /lake/raw/a\\nb is full, or its quota is used up; free some space, then start again";
        assert_eq!((reason(&error).as_str(), kind_of(&error)), (words, Retry));
    }
}

#[test]
fn a_denied_write_is_invalid_and_not_retried() {
    for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
        let error = reported(kind);
        assert_eq!(kind_of(&error), Invalid);
        assert!(reason(&error).starts_with("cannot write /lake/raw/a\\nb: "), "{error}");
    }
}
