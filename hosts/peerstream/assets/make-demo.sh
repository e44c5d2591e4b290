#!/bin/sh
# Makes demo.mp4, the clip that `peerstream demo` streams: 16 s, 640x360 at 30 fps, H.264 and AAC in fragmented MP4.
# Needs ffmpeg with libx264, Python 3 with numpy and Pillow, and the DejaVu fonts (Debian: fonts-dejavu).
# The committed file is what counts: another version of a tool may give other bytes.
#
# No seam: 16 s are exactly 480 pictures and, at 48 kHz, exactly 750 AAC frames. The AAC frames are taken from the
# middle one of three loops, so the first of them continues the last one and there is no priming.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
exact="-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1"

"$python" demo_sound.py "$work/three.wav"
ffmpeg -v error -y -i "$work/three.wav" -c:a aac -b:a 80k -ar 48000 $exact "$work/three.aac"
"$python" - "$work/three.aac" "$work/loop.aac" <<'PYTHON'
import sys
data, frames, at = open(sys.argv[1], "rb").read(), [], 0
while at < len(data):
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    frames.append(data[at:at + size])
    at += size
# The encoder is one frame late: frame 751 is the first of the second loop.
open(sys.argv[2], "wb").write(b"".join(frames[751:751 + 750]))
PYTHON

"$python" demo_picture.py > "$work/frames.rgb"
encode() {
    ffmpeg -v error -y -f rawvideo -pix_fmt rgb24 -s 640x360 -r 30 -i "$work/frames.rgb" \
        -vf "scale=sws_flags=accurate_rnd+full_chroma_int+bitexact:out_color_matrix=bt709:out_range=tv,format=yuv420p" \
        -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv \
        -c:v libx264 -preset veryslow -profile:v high -level 3.0 -bf 0 -refs 3 -g 30 -keyint_min 30 -sc_threshold 0 \
        -x264-params "open-gop=0:aq-mode=3:aq-strength=0.9:threads=1" \
        -b:v 580k -maxrate 900k -bufsize 900k -passlogfile "$work/pass" $exact "$@"
}
encode -pass 1 -an -f null /dev/null
encode -pass 2 -f h264 "$work/loop.h264"

# By way of a plain file: the fragmented one's header is written before a packet was seen, and must have AAC's setup.
ffmpeg -v error -y -i "$work/loop.aac" -c copy $exact "$work/loop.m4a"
ffmpeg -v error -y -r 30 -i "$work/loop.h264" -i "$work/loop.m4a" -map 0:v -map 1:a -c copy \
    $exact -movflags +frag_every_frame+empty_moov+default_base_moof -f mp4 demo.mp4
ls -l demo.mp4
