//! Cuts fragmented MP4 or any bytes from a pipe or file into segments.
