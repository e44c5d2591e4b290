//! The line that makes types plug-ins.

/// Makes types plug-ins of a host that is linked with this crate: `export_plugin! { strategy: Mine, telemetry: Other }`. The word
/// before the colon is the kind.
///
/// A host must name the crate in its code (`use my_plugin as _;`), or the linker leaves it out.
#[macro_export]
macro_rules! export_plugin {
    ($($kind:ident: $plugin:ty),+ $(,)?) => {
        $(
            $crate::traits::inventory::submit! {
                $crate::traits::Registration::$kind::<$plugin>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            }
        )+
    };
}
