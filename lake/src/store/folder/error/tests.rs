//! What the system reports and a test can't bring about.

use super::*;
use crate::{
    ErrorKind::{Invalid, Retry},
    store::{kind_of, reason},
};

fn reported(kind: ErrorKind) -> Error {
    failed("write", Path::new("/lake/raw/a\nb"))(kind.into())
}

#[test]
fn a_full_disk_says_so_and_what_to_do_and_may_be_tried_again() {
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        let error = reported(kind);
        let words = "the disk that holds /lake/raw/a\\nb is full, or its quota used up; make room, then start again";
        assert_eq!((reason(&error).as_str(), kind_of(&error)), (words, Retry));
    }
}

#[test]
fn what_may_not_be_written_is_for_a_person_to_allow() {
    for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
        let error = reported(kind);
        assert_eq!(kind_of(&error), Invalid);
        assert!(reason(&error).starts_with("cannot write /lake/raw/a\\nb: "), "{error}");
    }
}
