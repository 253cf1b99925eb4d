//! Names of the variants of an enum: for counts and labels, where the values in them do not matter.

/// Gives an enum `NAMES`, one for each variant, and `name()`. A variant that is left out does not compile.
macro_rules! variants {
    ($type:ident { $($variant:ident),* $(,)? }) => {
        impl $type {
            /// The names of all variants, in their order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($variant)),*];

            /// The name of the variant.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $($type::$variant { .. } => stringify!($variant)),*
                }
            }
        }
    };
}

pub(crate) use variants;
