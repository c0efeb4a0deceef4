//! How entries follow each other in an event file: length, checksum of the length, entry, checksum of the entry.
//!
//! # Source
//! TFRecord, `tensorboard/summary/writer/record_writer.py`: integers are little-endian, checksums are CRC-32C, turned and shifted.

/// What is added to a turned checksum.
const MASK: u32 = 0xa282_ead8;

/// An entry as it stands in a file.
pub(super) fn framed(entry: &[u8]) -> Vec<u8> {
    let length = (entry.len() as u64).to_le_bytes();
    let mut frame = Vec::with_capacity(entry.len() + 16);
    frame.extend(length);
    frame.extend(masked(&length).to_le_bytes());
    frame.extend(entry);
    frame.extend(masked(entry).to_le_bytes());
    frame
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32C bit by bit, from its polynomial.
    fn checksum(bytes: &[u8]) -> u32 {
        let mut state = u32::MAX;
        for byte in bytes {
            state ^= u32::from(*byte);
            for _ in 0..8 {
                state = if state & 1 == 1 { (state >> 1) ^ 0x82f6_3b78 } else { state >> 1 };
            }
        }
        !state
    }

    #[test]
    fn frames_have_their_length_and_checksums() {
        assert_eq!(checksum(b"123456789"), 0xe306_9283, "the catalogue's check value");
        for entry in [&b""[..], b"x", &[0xff; 300]] {
            let frame = framed(entry);
            let mask = |sum: u32| sum.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
            assert_eq!(frame[..8], (entry.len() as u64).to_le_bytes());
            assert_eq!(frame[8..12], mask(checksum(&frame[..8])));
            assert_eq!(&frame[12..12 + entry.len()], entry);
            assert_eq!(frame[12 + entry.len()..], mask(checksum(entry)));
        }
    }
}
