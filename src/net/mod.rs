//! The network programs: servers and clients that speak the bytes of small Python programs, bounded
//! and timed.
