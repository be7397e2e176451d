//! Compressed objects: the same text, in one member or frame.

use producer::{Compression, batch::Recipe};

use crate::support::{COMPRESSIONS, FORMATS, batches, decompress, recipe};

#[test]
fn a_compressed_object_has_the_same_text_as_an_uncompressed_one() {
    for format in FORMATS {
        let plain = Recipe { invalid_records: 0.3, duplicates: 0.3, ..recipe(format, 23) };
        for compression in COMPRESSIONS {
            let compressed = batches(&Recipe { compression, ..plain.clone() }, 5);
            for (compressed, plain) in compressed.iter().zip(&batches(&plain, 5)) {
                assert_eq!(decompress(compression, &compressed.bytes).unwrap(), plain.bytes);
                let is_smaller = compressed.bytes.len() < plain.bytes.len();
                assert_eq!(is_smaller, compression != Compression::None);
                let (said, plain_told) = (compressed.truth(), plain.truth());
                assert_eq!(said.records, plain_told.records);
                assert_eq!(said.bytes, compressed.bytes.len() as u64);
                assert_eq!(said.sha256, lake::ids::sha256_hex(&compressed.bytes));
            }
        }
    }
}

#[test]
fn a_key_ends_in_format_and_compression() {
    let mut ends = Vec::new();
    for format in FORMATS {
        for compression in COMPRESSIONS {
            let key = batches(&Recipe { compression, ..recipe(format, 1) }, 1)[0].key.to_string();
            ends.push(key.split_once('.').unwrap().1.to_owned());
        }
    }
    let expected = ["json", "json.gz", "json.zst", "ndjson", "ndjson.gz", "ndjson.zst", "csv", "csv.gz", "csv.zst"];
    assert_eq!(ends, expected);
}

/// RFC 8878, 3.1.1: the third bit of the descriptor says that a checksum of the content follows.
#[test]
fn a_zstd_frame_has_a_checksum_of_its_content() {
    let recipe = Recipe { compression: Compression::Zstd, ..recipe(FORMATS[0], 1) };
    assert_eq!(batches(&recipe, 1)[0].bytes[4] & 0b100, 0b100);
}

/// RFC 1952, 2.3: no name, no time and no system, which would all differ between machines.
#[test]
fn a_gzip_member_does_not_depend_on_where_it_was_made() {
    let recipe = Recipe { compression: Compression::Gzip, ..recipe(FORMATS[0], 1) };
    let bytes = &batches(&recipe, 1)[0].bytes;
    assert_eq!((&bytes[..8], bytes[9]), (&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0][..], 255));
}

#[test]
fn the_same_seed_makes_the_same_compressed_bytes() {
    for compression in COMPRESSIONS {
        let recipe = Recipe { compression, corrupt_batches: 0.5, ..recipe(FORMATS[2], 29) };
        let [one, again] =
            [0, 1].map(|_| batches(&recipe, 20).into_iter().map(|batch| batch.bytes).collect::<Vec<_>>());
        assert_eq!(one, again);
    }
}
