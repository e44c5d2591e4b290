//! The line that makes types plug-ins.

/// Makes types plug-ins: `export_plugin! { strategy: Mine, telemetry: Other }`. The word before the colon is the kind.
///
/// A host that is linked with the crate finds them by their names. It must name the crate in its code (`use my_plugin as _;`),
/// or the linker leaves it out. With the crate's feature `dynamic` they are also what the dynamic library offers
/// (`crate-type = ["rlib", "cdylib"]`); a host must not be linked with two crates that have that feature on.
#[macro_export]
macro_rules! export_plugin {
    ($($kind:ident: $plugin:ty),+ $(,)?) => {
        $(
            $crate::traits::inventory::submit! {
                $crate::traits::Registration::$kind::<$plugin>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            }
        )+

        #[allow(unexpected_cfgs, reason = "only crates that can be dynamic libraries have the feature")]
        const _: () = {
            #[cfg(feature = "dynamic")]
            const _: () = {
                #[cfg(not(panic = "unwind"))]
                compile_error!("a plug-in must be built with panic = \"unwind\", or a panic in it ends its host");

                struct Library;

                impl $crate::dynamic::Library for Library {
                    const PLUGINS: &'static [$crate::traits::Registration] = &[$(
                        $crate::traits::Registration::$kind::<$plugin>(
                            env!("CARGO_PKG_NAME"),
                            env!("CARGO_PKG_VERSION"),
                        ),
                    )+];
                }

                static API: $crate::dynamic::Api = $crate::dynamic::api::<Library>();

                #[unsafe(no_mangle)]
                extern "C" fn peerstream_plugin_v0() -> *const $crate::dynamic::Api {
                    &API
                }
            };
        };
    };
}
