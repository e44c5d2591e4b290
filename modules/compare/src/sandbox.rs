//! What this process and its children may do: little. There is no way back.

use std::io;
use std::path::Path;

/// Seconds of processor time for each process.
pub(crate) const CPU_SECONDS_MAX: u64 = 120;
/// Bytes of memory for each process.
pub(crate) const MEMORY_BYTES_MAX: u64 = 768 * 1024 * 1024;
/// Files that a process has open at once.
pub(crate) const FILES_MAX: u64 = 48;

/// Bounds time, memory and files of this process and of those it will start; takes network and the writing of files away; leaves of what can be
/// read the programs of the system, ffmpeg's folder and these files. An error when the system cannot do that: then nothing hostile may be read.
pub(crate) fn confine(ffmpeg: &Path, files: &[&Path]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return linux::confine(ffmpeg, files);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (ffmpeg, files);
        Err(io::Error::new(io::ErrorKind::Unsupported, "hostile files are read on Linux only"))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::path::Path;

    use super::{CPU_SECONDS_MAX, FILES_MAX, MEMORY_BYTES_MAX};

    #[cfg(target_arch = "x86_64")]
    const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
    #[cfg(target_arch = "aarch64")]
    const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
    #[cfg(target_arch = "riscv64")]
    const ARCHITECTURE: Option<u32> = Some(0xc000_00f3);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
    const ARCHITECTURE: Option<u32> = None;

    /// Calls from this number on are those of another interface of the same processor.
    const FOREIGN: u32 = 0x4000_0000;
    /// What reaches out of the process: sockets, rings of calls that this filter does not see, and other processes' memory.
    const REFUSED: [libc::c_long; 6] = [
        libc::SYS_socket,
        libc::SYS_io_uring_setup,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
    ];

    pub(super) fn confine(ffmpeg: &Path, files: &[&Path]) -> io::Result<()> {
        bound(libc::RLIMIT_CPU, CPU_SECONDS_MAX)?;
        bound(libc::RLIMIT_DATA, MEMORY_BYTES_MAX)?;
        bound(libc::RLIMIT_NOFILE, FILES_MAX)?;
        bound(libc::RLIMIT_FSIZE, 0)?;
        bound(libc::RLIMIT_CORE, 0)?;
        // SAFETY: prctl takes numbers only here.
        checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        super::files::confine(ffmpeg, files)?;
        refuse_calls()
    }

    fn bound(what: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
        let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
        // SAFETY: `limit` lives through the call.
        checked(unsafe { libc::setrlimit(what, &raw const limit) })
    }

    pub(super) fn checked(returned: libc::c_int) -> io::Result<()> {
        if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Has the kernel refuse [`REFUSED`].
    fn refuse_calls() -> io::Result<()> {
        let architecture = ARCHITECTURE.ok_or(io::ErrorKind::Unsupported)?;
        let mut filter = filter(architecture);
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        let (mode, program) = (libc::SECCOMP_MODE_FILTER, &raw const program);
        // SAFETY: the program and its instructions live through the call, which copies them.
        checked(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, program, 0, 0) })
    }

    fn filter(architecture: u32) -> Vec<libc::sock_filter> {
        const NUMBER_AT: u32 = 0;
        const ARCHITECTURE_AT: u32 = 4;
        let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
        let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
        let jump = |test: u32, value, jt, jf| step(libc::BPF_JMP | test | libc::BPF_K, jt, jf, value);
        let answer = |value| step(libc::BPF_RET | libc::BPF_K, 0, 0, value);
        let refused = REFUSED.len() as u8;
        let mut filter = vec![
            load(ARCHITECTURE_AT),
            jump(libc::BPF_JEQ, architecture, 1, 0),
            answer(libc::SECCOMP_RET_KILL_PROCESS),
            load(NUMBER_AT),
            jump(libc::BPF_JGE, FOREIGN, refused + 1, 0),
        ];
        // Each jumps over those that are left and over the permission.
        filter.extend((0..refused).map(|at| jump(libc::BPF_JEQ, REFUSED[at as usize] as u32, refused - at, 0)));
        filter.push(answer(libc::SECCOMP_RET_ALLOW));
        filter.push(answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
        filter
    }
}

/// Landlock: which files a process may open.
#[cfg(target_os = "linux")]
mod files {
    use std::ffi::CString;
    use std::io;
    use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::{Path, PathBuf};

    use super::linux::checked;

    /// Folders that programs and their libraries live in, and what their loader reads.
    const SYSTEM: [&str; 9] =
        ["/usr", "/lib", "/lib64", "/bin", "/nix/store", "/opt", "/etc/ld.so.cache", "/etc/alternatives", "/dev/null"];
    const EXECUTE: u64 = 1;
    const WRITE_FILE: u64 = 1 << 1;
    const READ_FILE: u64 = 1 << 2;
    const READ_DIR: u64 = 1 << 3;
    /// All rights of the first version of Landlock.
    const ALL: u64 = (1 << 13) - 1;
    const PATH_BENEATH: libc::c_int = 1;

    #[repr(C)]
    struct Ruleset {
        handled: u64,
    }

    #[repr(C, packed)]
    struct Beneath {
        allowed: u64,
        parent: libc::c_int,
    }

    /// Leaves these files and the system's programs. A kernel without Landlock (before 5.13, or where it is not enabled) takes nothing away: ffmpeg is
    /// told by its options to open one file only.
    pub(super) fn confine(ffmpeg: &Path, files: &[&Path]) -> io::Result<()> {
        let ruleset = Ruleset { handled: ALL };
        // SAFETY: the kernel reads so many bytes of `ruleset`, which lives through the call.
        let made =
            unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size_of::<Ruleset>(), 0) };
        if made < 0 {
            return Ok(());
        }
        // SAFETY: the kernel has just made this file descriptor for us.
        let rules = unsafe { OwnedFd::from_raw_fd(made as libc::c_int) };
        for folder in SYSTEM.iter().map(PathBuf::from).chain(folder_of(ffmpeg)) {
            allow(&rules, &folder, EXECUTE | READ_FILE | READ_DIR)?;
        }
        allow(&rules, Path::new("/dev/null"), READ_FILE | WRITE_FILE)?;
        for file in files {
            allow(&rules, file, READ_FILE)?;
        }
        // SAFETY: the call takes numbers only.
        checked(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) } as libc::c_int)
    }

    /// Where a program that was named by its path is.
    fn folder_of(program: &Path) -> Option<PathBuf> {
        let has_folder = program.parent().is_some_and(|parent| !parent.as_os_str().is_empty());
        program.canonicalize().ok().filter(|_| has_folder)?.parent().map(Path::to_owned)
    }

    /// What is not there needs no permission.
    fn allow(rules: &OwnedFd, path: &Path, rights: u64) -> io::Result<()> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the name lives through the call.
        let opened = unsafe { libc::open(name.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
        if opened < 0 {
            return Ok(());
        }
        // SAFETY: it was just opened, and nobody else has it.
        let opened = unsafe { OwnedFd::from_raw_fd(opened) };
        let rights = if path.is_dir() { rights } else { rights & !READ_DIR };
        let rule = Beneath { allowed: rights, parent: opened.as_raw_fd() };
        // SAFETY: the rule lives through the call, and has the layout that the kernel expects.
        checked(unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, rules.as_raw_fd(), PATH_BENEATH, &raw const rule, 0)
        } as libc::c_int)
    }
}
