//! The plug-in side of the binary interface: turns what [`crate::export_plugin`] lists into a table of functions.
//!
//! A panic in any of them is caught; its instance then answers nothing but that.

mod decider;
mod doer;
mod instance;
mod log;
mod tasks;

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use peerstream_abi::Api;
use peerstream_abi::message::{Described, Failure, Manifest};
use peerstream_abi::{ABI_MAJOR, ABI_MINOR, Batch, Bytes, Host, MAGIC, Out, Status};
use peerstream_traits::{BuildContext, ErrorClass, PluginError, Registration};
use serde_json::Value;

use self::instance::Instance;

/// What a dynamic library offers.
pub trait Library {
    /// Its plug-ins.
    const PLUGINS: &'static [Registration];
}

/// The table of a library.
pub const fn api<L: Library>() -> Api {
    Api {
        magic: MAGIC,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        size: size_of::<Api>() as u32,
        flags: 0,
        describe: Some(describe::<L>),
        check: Some(check::<L>),
        create: Some(create::<L>),
        call: Some(call),
        batch: Some(batch),
        submit: Some(submit),
        cancel: Some(cancel),
        destroy: Some(destroy),
    }
}

/// What became of a call, before it is told.
pub(crate) type Answer = Result<Status, PluginError>;

unsafe extern "C" fn describe<L: Library>(out: Out) -> i32 {
    contained(out, || {
        let plugins = L::PLUGINS.iter().map(|plugin| Described {
            kind: plugin.build.kind().word().to_owned(),
            name: plugin.facts.name.to_owned(),
            version: plugin.crate_version.to_owned(),
            summary: plugin.facts.summary.to_owned(),
            stability: Some(plugin.facts.stability.word().to_owned()),
            schema: Some((plugin.facts.schema)()),
            defaults: Some((plugin.facts.defaults)()),
        });
        let built_with = concat!("peerstream-sdk ", env!("CARGO_PKG_VERSION")).to_owned();
        write_json(out, &Manifest { built_with, plugins: plugins.collect() })
    })
}

unsafe extern "C" fn check<L: Library>(index: u32, options: Bytes, out: Out) -> i32 {
    contained(out, || {
        let plugin = plugin::<L>(index)?;
        // SAFETY: the host lends the bytes for this call.
        let options = read_json(unsafe { options.slice() })?;
        write_json(out, &(plugin.facts.check)(&options))
    })
}

unsafe extern "C" fn create<L: Library>(
    index: u32,
    host: *const Host,
    options: Bytes,
    name: Bytes,
    instance: *mut *mut c_void,
    out: Out,
) -> i32 {
    contained(out, || {
        let plugin = plugin::<L>(index)?;
        // SAFETY: the host lends all of these for this call, and `host` until the instance is destroyed.
        let (host, options, name) = unsafe { (*host, read_json(options.slice())?, name.slice()) };
        let name = String::from_utf8_lossy(name);
        log::forward(host);
        let made = Instance::build(plugin, host, &options, &BuildContext::new(&name))?;
        // SAFETY: the host gave a place for it.
        unsafe { *instance = Box::into_raw(Box::new(made)).cast() };
        Ok(Status::OK)
    })
}

unsafe extern "C" fn call(instance: *mut c_void, op: u32, json: Bytes, out: Out) -> i32 {
    // SAFETY: the host passes what `create` gave it, and lends the bytes.
    let (instance, json) = unsafe { (Instance::of(instance), json.slice()) };
    instance.contained(out, |it| it.call(op, json, out))
}

unsafe extern "C" fn batch(instance: *mut c_void, batch: *const Batch, out: Out) -> i32 {
    // SAFETY: as above.
    let (instance, batch) = unsafe { (Instance::of(instance), &*batch) };
    instance.contained(out, |it| it.batch(batch, out))
}

unsafe extern "C" fn submit(
    instance: *mut c_void,
    request: u64,
    op: u32,
    json: Bytes,
    payload: Bytes,
    out: Out,
) -> i32 {
    // SAFETY: as above.
    let (instance, json, payload) = unsafe { (Instance::of(instance), json.slice(), payload.slice()) };
    instance.contained(out, |it| it.submit(request, op, json, payload))
}

unsafe extern "C" fn cancel(instance: *mut c_void, request: u64) {
    // SAFETY: as above.
    let instance = unsafe { Instance::of(instance) };
    let _ = catch_unwind(AssertUnwindSafe(|| instance.cancel(request)));
}

unsafe extern "C" fn destroy(instance: *mut c_void) {
    // SAFETY: the host passes what `create` gave it, once.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| instance.end()));
}

fn plugin<L: Library>(index: u32) -> Result<&'static Registration, PluginError> {
    let none = || PluginError::invalid(format!("no plug-in {index}, there are {}", L::PLUGINS.len()));
    L::PLUGINS.get(index as usize).ok_or_else(none)
}

/// Runs without letting a panic out, and writes why it failed.
pub(crate) fn contained(out: Out, run: impl FnOnce() -> Answer) -> i32 {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(status)) => status.0,
        Ok(Err(error)) => {
            write_failure(out, &error);
            status_of(error.class).0
        }
        Err(panic) => {
            let failure = Failure { message: panic_message(&*panic), retry_after_ms: None };
            // What a panic holds may panic when it is dropped.
            std::mem::forget(panic);
            let _ = write_json(out, &failure);
            Status::PANICKED.0
        }
    }
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

pub(crate) fn status_of(class: ErrorClass) -> Status {
    Status::failed(ErrorClass::ALL.iter().position(|known| *known == class).unwrap_or(8))
}

pub(crate) fn failure_of(error: &PluginError) -> Failure {
    Failure {
        message: error.message.clone(),
        retry_after_ms: error.retry_after.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn write_failure(out: Out, error: &PluginError) {
    let _ = write_json(out, &failure_of(error));
}

pub(crate) fn write_json(out: Out, value: &impl serde::Serialize) -> Answer {
    let bytes = serde_json::to_vec(value).map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?;
    // SAFETY: called during the call that `out` belongs to.
    unsafe { out.put(&bytes) };
    Ok(Status::OK)
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, PluginError> {
    let bytes = if bytes.is_empty() { b"null" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| PluginError::invalid(format!("message cannot be read: {error}")))
}

/// Whether options were given at all.
pub(crate) fn options_or_empty(options: Value) -> Value {
    if options.is_null() { Value::Object(serde_json::Map::new()) } else { options }
}
