//! Lists of formats: one line declares the file of a format and adds it to the list.

/// Declares the module of each format, and a static list of the formats in this order: `module::Type,` is a line of it.
///
/// `cargo fmt` does not find modules that a macro declares; `.ci/format` formats them, too.
macro_rules! formats {
    (
        $(#[$about:meta])*
        $list:ident: $kind:ident;
        $($module:ident::$format:ident $(($argument:expr))?,)+
    ) => {
        $(mod $module;)+

        $(#[$about])*
        pub static $list: &[&dyn $kind] = &[$(&self::$module::$format $(($argument))?),+];
    };
}

pub(crate) use formats;
