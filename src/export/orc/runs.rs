//! Byte and boolean run length encoding: how ORC says which rows have a value.
//!
//! A control byte 0…127 stands before one byte that repeats 3…130 times; 128…255 (as a negative number) stands
//! before 128…1 bytes as they are. Booleans are packed eight a byte, the first in the highest bit, and the bytes are
//! run length encoded.

const LEAST_RUN: usize = 3;
const LONGEST_RUN: usize = 127 + LEAST_RUN;
const MOST_LITERALS: usize = 128;

/// Appends the encoded bytes; the encoding ends with them (nothing is pending).
pub(super) fn append_bytes(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let Some(&first) = bytes.first() {
        let run = run_length(bytes);
        if run >= LEAST_RUN {
            out.extend_from_slice(&[(run - LEAST_RUN) as u8, first]);
            bytes = &bytes[run..];
        } else {
            let literals = literals_before_run(bytes);
            out.push((literals as u8).wrapping_neg());
            out.extend_from_slice(&bytes[..literals]);
            bytes = &bytes[literals..];
        }
    }
}

/// Appends the encoded booleans; the last byte is filled up with false.
pub(super) fn append_booleans(values: &[bool], out: &mut Vec<u8>) {
    let pack = |bits: &[bool]| bits.iter().enumerate().fold(0, |byte, (bit, &set)| byte | u8::from(set) << (7 - bit));
    let bytes: Vec<u8> = values.chunks(8).map(pack).collect();
    append_bytes(&bytes, out);
}

fn run_length(bytes: &[u8]) -> usize {
    bytes.iter().take(LONGEST_RUN).take_while(|&&byte| byte == bytes[0]).count()
}

fn literals_before_run(bytes: &[u8]) -> usize {
    let limit = bytes.len().min(MOST_LITERALS);
    bytes
        .windows(LEAST_RUN)
        .take(limit)
        .position(|window| window.iter().all(|&byte| byte == window[0]))
        .unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let [control, rest @ ..] = bytes {
            if *control < 128 {
                out.resize(out.len() + usize::from(*control) + LEAST_RUN, rest[0]);
                bytes = &rest[1..];
            } else {
                let literals = usize::from(control.wrapping_neg());
                out.extend_from_slice(&rest[..literals]);
                bytes = &rest[literals..];
            }
        }
        out
    }

    #[test]
    fn examples_of_the_specification() {
        let mut out = Vec::new();
        append_bytes(&[0; 100], &mut out);
        append_bytes(&[0x44, 0x45], &mut out);
        assert_eq!(out, [0x61, 0x00, 0xfe, 0x44, 0x45]);
        out.clear();
        append_booleans(&[true, false, false, false, false, false, false, false], &mut out);
        assert_eq!(out, [0xff, 0x80]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn roundtrip(runs in prop::collection::vec((0_u8..4, 1_usize..300), 0..20)) {
            let bytes: Vec<u8> = runs.iter().flat_map(|&(byte, times)| {
                (0..times).map(move |index| if byte == 3 { index as u8 } else { byte })
            }).collect();
            let mut out = Vec::new();
            append_bytes(&bytes, &mut out);
            prop_assert_eq!(decode(&out), bytes);
        }
    }
}
