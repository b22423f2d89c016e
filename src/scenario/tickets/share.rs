//! The files and the lock that the buyers share, as the parent opens them and as a buyer receives them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::locks::{Opened, Opens, Shop};
use super::params::Sale;
use super::stock_file;
use crate::shm::region::{Region, RegionError};
use crate::wire::handle::Fd;

/// The size of the memory that contains a lock, in bytes.
const MEMORY: usize = 64;

/// The part that is sent to a buyer's process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Share {
    dir: PathBuf,
    opened: Option<Fd>,
}

/// The files of a sale in the directory `dir`, as `process` sees them.
fn shop(dir: &Path, opened: Option<Opened>, process: usize) -> Shop {
    Shop { stock: dir.join("ticket_count"), lock: dir.join("lock"), opened, process }
}

/// Opens the files and the lock in the directory `dir`, for the parent.
pub(super) fn open(sale: &Sale, dir: &Path) -> io::Result<Shop> {
    let opened = match sale.lock.opens {
        Opens::Nothing => None,
        Opens::LockFile => Some(Opened::LockFile(File::create(dir.join("lock"))?)),
        Opens::Memory => {
            Some(Opened::Memory(Region::create(MEMORY as u64, MEMORY).map_err(io::Error::other)?))
        }
    };
    Ok(shop(dir, opened, sale.buyers))
}

/// The share to send to a buyer.
pub(super) fn share(shop: &Shop) -> io::Result<Share> {
    let opened = match &shop.opened {
        None => None,
        Some(Opened::LockFile(file)) => Some(Fd::from(file.as_fd().try_clone_to_owned()?)),
        Some(Opened::Memory(region)) => Some(Fd::from(region.file().try_clone_to_owned()?)),
    };
    let dir = shop.stock.parent().unwrap_or(Path::new(".")).to_owned();
    Ok(Share { dir, opened })
}

/// Turns the share that buyer `process` received into its view of the shop.
pub(super) fn unpack(sale: &Sale, share: Share, process: usize) -> io::Result<Shop> {
    let opened = match (share.opened, sale.lock.opens) {
        (None, _) => None,
        (Some(fd), Opens::Memory) => {
            let region = Region::open(fd.into_owned(), |_: &[u8; 1], _| Ok::<_, RegionError>(MEMORY));
            Some(Opened::Memory(region.map_err(io::Error::other)?))
        }
        (Some(fd), _) => Some(Opened::LockFile(File::from(fd.into_owned()))),
    };
    Ok(shop(&share.dir, opened, process))
}

/// Frees the lock and writes the initial stock.
pub(super) fn reset(sale: &Sale, shop: &Shop) -> io::Result<()> {
    sale.lock.reset(shop)?;
    fs::write(&shop.stock, stock_file::text(sale.stock))
}
