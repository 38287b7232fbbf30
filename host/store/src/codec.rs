//! How bytes are packed for the disk: small JSON and postcard texts, one by one.
//!
//! A sale of a thousand bytes is too short for a compressor that starts from nothing, so it starts
//! from [`DICTIONARY`], a text that looks like what shops store. Packed bytes name the dictionary
//! that they need; a dictionary that was released never changes, a better one gets the next number.

use std::cell::RefCell;
use std::sync::LazyLock;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::CParameter;

/// Dictionary number 1: an event, an answer and the words of the starter pack, most common last.
const DICTIONARY: &[u8] = include_bytes!("dictionary_1.txt");

/// The first byte of what is stored as it is.
const PLAIN: u8 = 0;
/// The first byte of zstd with dictionary number 1.
const ZSTD_1: u8 = 1;

/// Compression level: level 3 makes the file 5 % smaller for half as much time again.
const LEVEL: i32 = 1;

/// Nothing that the store packs is larger, in bytes: an explanation of 200 calls with the largest
/// inputs. A length beyond it is damage, not data.
const UNPACKED_BYTES_MAX: usize = 256 << 20;

/// Half a page of SQLite, in bytes.
const LARGE_BYTES: usize = 2_048;

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::new(compressor());
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::new(decompressor());
}

/// Packed bytes that cannot be read: the file is damaged, or written by a newer program.
#[derive(Debug, thiserror::Error)]
#[error("packed bytes cannot be read: {0}")]
pub(crate) struct Damaged(String);

pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(zstd::zstd_safe::compress_bound(bytes.len()) + 6);
    packed.push(ZSTD_1);
    push_length(&mut packed, bytes.len());
    let header = packed.len();
    let compressed = COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(bytes));
    match compressed {
        Ok(compressed) if header + compressed.len() <= bytes.len() => {
            packed.extend_from_slice(&compressed);
        }
        // What does not get smaller stays as it is; so does what could not be compressed at all,
        // because losing an event for want of 300 KB of memory helps nobody.
        _ => {
            packed.clear();
            packed.push(PLAIN);
            packed.extend_from_slice(bytes);
        }
    }
    packed.shrink_to_fit();
    packed
}

/// For what is written again and again: packed only where it would not fit into a page beside
/// others, because a page is written whole.
pub(crate) fn pack_if_large(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() > LARGE_BYTES {
        return pack(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len() + 1);
    plain.push(PLAIN);
    plain.extend_from_slice(bytes);
    plain
}

pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Damaged> {
    match packed.split_first() {
        Some((&PLAIN, bytes)) => Ok(bytes.to_vec()),
        Some((&ZSTD_1, rest)) => {
            let (length, compressed) = take_length(rest)?;
            DECOMPRESSOR
                .with_borrow_mut(|decompressor| decompressor.decompress(compressed, length))
                .map_err(|error| Damaged(error.to_string()))
        }
        Some((format, _)) => Err(Damaged(format!("format {format} is not known here"))),
        None => Err(Damaged("nothing is there".into())),
    }
}

fn compressor() -> Compressor<'static> {
    let mut compressor =
        Compressor::with_prepared_dictionary(&ENCODER).expect("zstd takes a dictionary");
    // The length is stored in front, the dictionary is named by the first byte, and SQLite's pages
    // are checked by `integrity_check`: the frame need not say any of it again.
    for parameter in [
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        compressor
            .set_parameter(parameter)
            .expect("zstd knows the parameter");
    }
    compressor
}

fn decompressor() -> Decompressor<'static> {
    Decompressor::with_prepared_dictionary(&DECODER).expect("zstd takes a dictionary")
}

/// Seven bits at a time, the lowest first.
fn push_length(to: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        to.push(length as u8 | 0x80);
        length >>= 7;
    }
    to.push(length as u8);
}

fn take_length(bytes: &[u8]) -> Result<(usize, &[u8]), Damaged> {
    let mut length = 0usize;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if length > UNPACKED_BYTES_MAX {
                return Err(Damaged(format!(
                    "{length} bytes are more than anything here has"
                )));
            }
            return Ok((length, &bytes[index + 1..]));
        }
    }
    Err(Damaged("the length has no end".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALE: &str = r#"{"source":"till-2","id":"ord-88231","kind":"sale.completed","at":1717235400000,"channel":"pos","location":"harbour","device":"till-2","staff":"s-14","body":{"sale":{"order":{"system":"pos","id":"88231"},"lines":[{"sku":"LAMP-40","category":"lighting","quantity":1000,"unit_price":4990,"amount":4990,"net":4990},{"sku":"BULB-E27","category":"lighting","quantity":3000,"unit_price":390,"discount":120,"amount":1050,"net":1050},{"sku":"RUG-7","category":"textiles","quantity":1000,"unit_price":12900,"amount":12900,"net":12900}],"total":18940,"tenders":[{"kind":"card","amount":18940}]}}}"#;

    #[test]
    fn what_is_packed_comes_back_whatever_it_is() {
        let noise: Vec<u8> = (0..5_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let long = SALE.repeat(3_000);
        for bytes in [&b""[..], b"x", SALE.as_bytes(), &noise, long.as_bytes()] {
            let packed = pack(bytes);
            assert_eq!(unpack(&packed).unwrap(), bytes);
            assert_eq!(unpack(&pack_if_large(bytes)).unwrap(), bytes);
            assert!(
                packed.len() <= bytes.len() + 1,
                "{} bytes became {}",
                bytes.len(),
                packed.len()
            );
        }
    }

    #[test]
    fn a_sale_that_the_dictionary_has_not_seen_shrinks_to_two_fifths() {
        let packed = pack(SALE.as_bytes());
        assert!(
            packed.len() * 5 < SALE.len() * 2,
            "{} of {}",
            packed.len(),
            SALE.len()
        );
    }

    #[test]
    fn damage_is_an_error_and_never_a_crash() {
        let packed = pack(SALE.as_bytes());
        for broken in [
            &[][..],
            &[9, 1, 2],
            &[ZSTD_1],
            &[ZSTD_1, 0xff, 0xff, 0xff, 0xff, 0xff],
            &packed[..20],
        ] {
            assert!(unpack(broken).is_err(), "{broken:?}");
        }
        for at in 2..packed.len() {
            let mut broken = packed.clone();
            broken[at] ^= 0x55;
            // It may decode to something else; it must come back.
            let _ = unpack(&broken);
        }
    }
}
