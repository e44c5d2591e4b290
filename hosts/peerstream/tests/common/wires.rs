//! Hosts on one machine, and the wires between them: each host is a network namespace with a TUN device, and this process
//! carries the packets, UDP and TCP alike, with a delay and a bottleneck at each host's uplink. Needs root.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What one uplink may hold back; beyond it packets are dropped, as in a router.
const QUEUE_MAX: Duration = Duration::from_millis(500);
/// Packets under way at once.
const UNDER_WAY_MAX: usize = 100_000;

/// The wires of all hosts.
#[derive(Clone, Copy, Debug)]
pub struct Wires {
    /// From host to host, one way.
    pub delay: Duration,
    /// Bits per second of each host's uplink.
    pub uplink: f64,
}

/// A packet on its way: when it arrives, in which order it left, where to, and its bytes.
type Packet = Reverse<(Instant, u64, usize, Vec<u8>)>;

#[derive(Default)]
struct UnderWay {
    packets: Mutex<(u64, BinaryHeap<Packet>)>,
    more: Condvar,
}

/// Namespaces that go when this is dropped.
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Makes so many hosts. Host 0 is 10.77.0.1, host 1 10.77.0.2, and so on.
    pub fn new(count: usize, wires: Wires) -> Self {
        let names: Vec<_> = (0..count).map(|host| format!("ps{host}")).collect();
        let devices: Vec<_> = names.iter().enumerate().map(|(host, name)| Arc::new(device(host, name))).collect();
        let under_way = Arc::new(UnderWay::default());
        for device in &devices {
            let (device, under_way) = (device.clone(), under_way.clone());
            thread::spawn(move || take_in(&device, wires, &under_way));
        }
        thread::spawn(move || hand_out(&devices, &under_way));
        Self(names)
    }

    pub fn address(host: usize) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 77, 0, 1)) + host as u32)
    }

    /// A command that runs on this host.
    pub fn command(&self, host: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.0[host]]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Does something with this host's network, in a thread of its own.
    pub fn inside<T: Send>(&self, host: usize, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/var/run/netns/{}", self.0[host])).expect("the namespace is there");
        let enter = || {
            // SAFETY: changes the network namespace of this thread alone, which ends with the work.
            let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(result, 0, "a thread enters a namespace: {}", std::io::Error::last_os_error());
            work()
        };
        thread::scope(|scope| scope.spawn(enter).join().expect("the work is done"))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.0.iter().for_each(|name| ip(&["netns", "del", name]));
    }
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments:?}: {status}; is this root?");
}

/// A TUN device in a namespace of its own.
fn device(host: usize, name: &str) -> File {
    let _ = Command::new("ip").args(["netns", "del", name]).stderr(std::process::Stdio::null()).status();
    ip(&["netns", "add", name]);
    let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun").expect("there is /dev/net/tun");
    let mut request = [0u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI) as u16;
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: the kernel reads and writes a `struct ifreq`, which is 40 bytes long, and keeps no pointer to it.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, request.as_mut_ptr()) };
    assert_eq!(result, 0, "a TUN device is made: {}", std::io::Error::last_os_error());
    let address = format!("{}/16", Hosts::address(host));
    ip(&["link", "set", name, "netns", name]);
    ip(&["-n", name, "address", "add", &address, "dev", name]);
    ip(&["-n", name, "link", "set", name, "up", "mtu", "1400"]);
    ip(&["-n", name, "link", "set", "lo", "up"]);
    tun
}

/// Takes packets from a host, one after the other through its uplink.
fn take_in(device: &File, wires: Wires, under_way: &UnderWay) {
    let mut buffer = [0; 2048];
    let mut free = Instant::now();
    while let Ok(len) = (&mut &*device).read(&mut buffer) {
        let now = Instant::now();
        let Some(to) = destination(&buffer[..len]) else { continue };
        if free.saturating_duration_since(now) > QUEUE_MAX {
            continue;
        }
        free = free.max(now) + Duration::from_secs_f64(len as f64 * 8.0 / wires.uplink);
        let mut packets = under_way.packets.lock().unwrap();
        if packets.1.len() < UNDER_WAY_MAX {
            packets.0 += 1;
            let number = packets.0;
            packets.1.push(Reverse((free + wires.delay, number, to, buffer[..len].to_vec())));
            under_way.more.notify_one();
        }
    }
}

fn destination(packet: &[u8]) -> Option<usize> {
    let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    let host = u32::from(Ipv4Addr::from(address)).checked_sub(u32::from(Hosts::address(0)))?;
    (packet[0] >> 4 == 4 && host < 65_536).then_some(host as usize)
}

/// Hands packets out when their time has come.
fn hand_out(devices: &[Arc<File>], under_way: &UnderWay) {
    let mut packets = under_way.packets.lock().unwrap();
    loop {
        let now = Instant::now();
        let due = packets.1.peek().map(|Reverse((at, ..))| *at);
        match due {
            Some(at) if at <= now => {
                let Some(Reverse((_, _, to, bytes))) = packets.1.pop() else { continue };
                drop(packets);
                // A host that is gone takes nothing.
                let _ = devices.get(to).map(|device| (&mut &**device).write(&bytes));
                packets = under_way.packets.lock().unwrap();
            }
            Some(at) => packets = under_way.more.wait_timeout(packets, at - now).unwrap().0,
            None => packets = under_way.more.wait(packets).unwrap(),
        }
    }
}
