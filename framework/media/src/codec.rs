//! Names codecs the way browsers ask for them, such as `avc1.64001f` (RFC 6381).

use peerstream_traits::ingest::IngestError;

use crate::boxes::{Child, FourCc, Reader, descend, find, letters};

/// A codec by its name for browsers, and what is wrong with it for viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// The RFC 6381 name.
    pub name: String,
    /// Why some or all viewers cannot play it, and what to use; `None` for what plays everywhere.
    pub trouble: Option<String>,
}

const USE_H264: &str = "encode with -c:v libx264 -pix_fmt yuv420p";
const USE_AAC: &str = "encode with -c:a aac (or libopus)";

/// AAC that does not say which AAC it is.
const NO_SETUP: &str = "mp4a.40";

/// The codec of a sample entry: one child of `stsd`.
pub fn of_sample_entry(entry: Child<'_>) -> Result<Codec, IngestError> {
    let boxes = inner_boxes(entry)?;
    let config = |name: &FourCc| find(boxes, name).map(|found| found.map(|child| child.body));
    let name = match &entry.name {
        b"avc1" | b"avc3" => config(b"avcC")?.map(|c| avc(&entry.name, c)).transpose()?,
        b"hvc1" | b"hev1" => config(b"hvcC")?.map(|c| hevc(&entry.name, c)).transpose()?,
        b"av01" => config(b"av1C")?.map(av1).transpose()?,
        b"vp08" | b"vp09" => config(b"vpcC")?.map(|c| vpx(&entry.name, c)).transpose()?,
        b"mp4a" | b"mp4v" => esds(entry.name, boxes)?,
        b"Opus" => Some("opus".into()),
        b"fLaC" => Some("flac".into()),
        _ => None,
    };
    // The comma and the quotation mark have a meaning in a MIME type.
    let plain = || letters(entry.name).trim_end().replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', ".");
    let name = name.unwrap_or_else(plain);
    Ok(Codec { trouble: trouble(&entry.name, &name), name })
}

/// The boxes after the fixed fields of a sample entry; nothing if they are cut off.
fn inner_boxes(entry: Child<'_>) -> Result<&[u8], IngestError> {
    let fixed = match &entry.name {
        b"mp4a" | b"Opus" | b"fLaC" | b"ac-3" | b"ec-3" | b".mp3" | b"enca" => {
            let mut reader = Reader::new(entry.body);
            reader.skip(8)?;
            // QuickTime's sound descriptions of version 1 and 2 are longer.
            match reader.u16()? {
                1 => 44,
                2 => 64,
                _ => 28,
            }
        }
        _ => 78,
    };
    Ok(entry.body.get(fixed..).unwrap_or_default())
}

fn avc(entry: &FourCc, config: &[u8]) -> Result<String, IngestError> {
    let [_, profile, constraints, level] = Reader::new(config).array()?;
    Ok(format!("{}.{profile:02x}{constraints:02x}{level:02x}", letters(*entry)))
}

fn hevc(entry: &FourCc, config: &[u8]) -> Result<String, IngestError> {
    let mut reader = Reader::new(config);
    reader.skip(1)?;
    let profile = reader.u8()?;
    let compatible = reader.u32()?.reverse_bits();
    let constraints: [u8; 6] = reader.array()?;
    let level = reader.u8()?;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let mut name = format!("{}.{space}{}.{compatible:X}.{tier}{level}", letters(*entry), profile & 0x1f);
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        name += &format!(".{byte:X}");
    }
    Ok(name)
}

fn av1(config: &[u8]) -> Result<String, IngestError> {
    let [_, profile_level, depths, ..] = Reader::new(config).array::<4>()?;
    let tier = if depths & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match depths & 0x60 {
        0 => 8,
        0x60 => 12,
        _ => 10,
    };
    Ok(format!("av01.{}.{:02}{tier}.{depth:02}", profile_level >> 5, profile_level & 0x1f))
}

fn vpx(entry: &FourCc, config: &[u8]) -> Result<String, IngestError> {
    let mut reader = Reader::new(config);
    reader.version_and_flags()?;
    let [profile, level, depths] = reader.array()?;
    Ok(format!("{}.{profile:02}.{level:02}.{:02}", letters(*entry), depths >> 4))
}

/// `mp4a` and `mp4v`: the object type says which codec it really is.
fn esds(entry: FourCc, boxes: &[u8]) -> Result<Option<String>, IngestError> {
    // QuickTime keeps the descriptor one box deeper.
    let body = match descend(boxes, &[b"esds"])? {
        Some(body) => body,
        None => match descend(boxes, &[b"wave", b"esds"])? {
            Some(body) => body,
            None => return Ok(None),
        },
    };
    let mut reader = Reader::new(body);
    reader.version_and_flags()?;
    descriptor(&mut reader, 0x03)?;
    reader.skip(2)?;
    let flags = reader.u8()?;
    reader.skip(if flags & 0x80 == 0 { 0 } else { 2 })?;
    if flags & 0x40 != 0 {
        let len = reader.u8()?;
        reader.skip(len.into())?;
    }
    reader.skip(if flags & 0x20 == 0 { 0 } else { 2 })?;
    descriptor(&mut reader, 0x04)?;
    let object = reader.u8()?;
    let prefix = letters(entry);
    if object != 0x40 {
        return Ok(Some(format!("{prefix}.{object:02X}")));
    }
    reader.skip(12)?;
    if descriptor(&mut reader, 0x05).is_err() {
        return Ok(Some(NO_SETUP.into()));
    }
    let first = reader.u16()?;
    let audio = match first >> 11 {
        31 => 32 + ((first >> 5) & 0x3f),
        short => short,
    };
    Ok(Some(format!("{prefix}.40.{audio}")))
}

/// Passes over the tag and the length of an MPEG-4 descriptor.
fn descriptor(reader: &mut Reader<'_>, tag: u8) -> Result<(), IngestError> {
    let found = reader.u8()?;
    if found != tag {
        return Err(crate::boxes::malformed(format!("esds: descriptor {tag} expected, {found} found")));
    }
    for _ in 0..4 {
        if reader.u8()? & 0x80 == 0 {
            break;
        }
    }
    Ok(())
}

fn trouble(entry: &FourCc, name: &str) -> Option<String> {
    let text = match entry {
        b"avc1" | b"avc3" => return avc_trouble(name),
        b"hvc1" | b"hev1" => format!("HEVC ({name}) plays in some browsers only, not in Chromium: {USE_H264}"),
        b"mp4v" => format!("MPEG-4 part 2 ({name}) plays in no browser: {USE_H264}"),
        b"ac-3" | b"ec-3" => format!("Dolby audio ({name}) plays in few browsers: {USE_AAC}"),
        b"mp4a" if ["mp4a.69", "mp4a.6B", "mp4a.40.34"].contains(&name) => mp3(name),
        b".mp3" => mp3(name),
        b"mp4a" if name == NO_SETUP => format!(
            "the header lacks AAC's setup, browsers refuse it: {USE_AAC}, or add +delay_moov to -movflags when copying"
        ),
        b"mp4a" if !name.starts_with("mp4a.40.") => format!("audio codec {name} plays in no browser: {USE_AAC}"),
        b"encv" | b"enca" => format!("an encrypted track ({name}) cannot be played by viewers: send it unencrypted"),
        b"av01" | b"vp08" | b"vp09" | b"mp4a" | b"Opus" | b"fLaC" => return None,
        _ => format!("codec {name} is not known to play in any browser: {USE_H264} and {USE_AAC}"),
    };
    Some(text)
}

fn mp3(name: &str) -> String {
    format!("MP3 in MP4 ({name}) does not play in browsers: {USE_AAC}")
}

/// 8-bit 4:2:0 plays everywhere; the professional profiles do not.
fn avc_trouble(name: &str) -> Option<String> {
    let profile = name.get(5..7)?;
    let what = match profile {
        "6e" => "10-bit",
        "7a" => "4:2:2",
        "f4" | "2c" => "4:4:4",
        _ => return None,
    };
    Some(format!("{what} H.264 ({name}) plays in few browsers: {USE_H264}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &FourCc, body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], name, body].concat()
    }

    fn codec(name: &FourCc, fixed: usize, config: &[u8]) -> Codec {
        let body = [&vec![0; fixed][..], config].concat();
        of_sample_entry(Child { name: *name, body: &body, at: 0 }).unwrap()
    }

    fn esds_box(object: u8, specific: &[u8]) -> Vec<u8> {
        let decoder = [&[0x04, 13 + 2 + specific.len() as u8, object], &[0; 12][..], &[0x05, 2], specific].concat();
        boxed(b"esds", &[&[0, 0, 0, 0, 0x03, 0x80, 0x80, 0x80, 40, 0, 1, 0][..], &decoder].concat())
    }

    #[test]
    fn names_are_those_that_browsers_ask_for() {
        let avc = boxed(b"avcC", &[1, 0x64, 0, 0x1f, 0xff]);
        assert_eq!(codec(b"avc1", 78, &avc).name, "avc1.64001f");
        let hevc = boxed(b"hvcC", &[1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93]);
        assert_eq!(codec(b"hvc1", 78, &hevc).name, "hvc1.1.6.L93.90");
        assert_eq!(codec(b"av01", 78, &boxed(b"av1C", &[0x81, 0x05, 0x0c, 0])).name, "av01.0.05M.08");
        assert_eq!(codec(b"vp09", 78, &boxed(b"vpcC", &[1, 0, 0, 0, 0, 31, 0x82])).name, "vp09.00.31.08");
        assert_eq!(codec(b"mp4a", 28, &esds_box(0x40, &[0x11, 0x90])).name, "mp4a.40.2");
        assert_eq!(codec(b"Opus", 28, &boxed(b"dOps", &[0; 11])).name, "opus");
    }

    #[test]
    fn what_browsers_cannot_play_is_named_with_what_to_use() {
        let mp3 = codec(b"mp4a", 28, &esds_box(0x6b, &[0, 0]));
        assert_eq!(mp3.name, "mp4a.6B");
        assert_eq!(
            mp3.trouble.unwrap(),
            "MP3 in MP4 (mp4a.6B) does not play in browsers: encode with -c:a aac (or libopus)"
        );
        assert!(codec(b"ac-3", 28, b"").trouble.unwrap().contains("-c:a aac"));
        assert!(codec(b"mp4v", 78, &esds_box(0x20, &[0, 0])).trouble.unwrap().contains("mp4v.20"));
        assert!(codec(b"avc1", 78, &boxed(b"avcC", &[1, 0x6e, 0, 0x1f])).trouble.unwrap().contains("10-bit"));
        assert_eq!(codec(b"avc1", 78, &boxed(b"avcC", &[1, 0x42, 0xc0, 0x1e])).trouble, None);
    }

    #[test]
    fn aac_copied_without_its_setup_is_told() {
        let mut esds = esds_box(0x40, &[0x11, 0x90]);
        let setup = esds.windows(4).position(|bytes| bytes == [0x05, 2, 0x11, 0x90]).unwrap();
        esds[setup] = 0x06;
        assert!(codec(b"mp4a", 28, &esds).trouble.unwrap().contains("+delay_moov"));
    }

    #[test]
    fn strange_letters_cannot_break_the_mime_type() {
        assert_eq!(codec(b"\"a,\x01", 0, b"").name, ".a..");
    }
}
