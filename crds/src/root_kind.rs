//! Kinds whose root object is not the usual `spec` plus a `status` subresource.
//!
//! Application has a top-level `operation`, and neither Application nor AppProject has a status subresource: other
//! tools patch `status` on the main resource. The derive of `kube` cannot say that, so [`root_kind!`] makes the root
//! struct and its traits from the fields that are given.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceValidation,
};
use schemars::JsonSchema;

use crate::ObjectMeta;

/// What a CustomResourceDefinition says besides its schema.
#[derive(Debug, Clone, Copy)]
pub struct KindNames {
    /// `Application`.
    pub kind: &'static str,
    /// `application`.
    pub singular: &'static str,
    /// `applications`.
    pub plural: &'static str,
    /// `app`, `apps`.
    pub short: &'static [&'static str],
}

/// A column that `kubectl get` prints.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// `string`, `integer` or `date`.
    pub kind: &'static str,
    /// Path of the value.
    pub path: &'static str,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i32,
}

/// The CustomResourceDefinition of a namespaced kind without subresources.
///
/// # Panics
/// Never for the kinds of this crate: their schemas are fixed when the crate is compiled, and a test makes each.
#[must_use]
pub fn crd<T: JsonSchema>(names: KindNames, columns: &[Column]) -> CustomResourceDefinition {
    let generator = schemars::generate::SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .with_transform(schemars::transform::AddNullable::default())
        .with_transform(kube::core::schema::StructuralSchemaRewriter)
        .with_transform(kube::core::schema::OptionalEnum)
        .with_transform(kube::core::schema::OptionalIntOrString)
        .into_generator();
    let schema = serde_json::to_value(generator.into_root_schema_for::<T>())
        .and_then(serde_json::from_value)
        .map(Some)
        .expect("a schema made by schemars is a JSONSchemaProps");
    let columns: Vec<_> = columns
        .iter()
        .map(|column| CustomResourceColumnDefinition {
            name: column.name.to_owned(),
            type_: column.kind.to_owned(),
            json_path: column.path.to_owned(),
            priority: (column.priority != 0).then_some(column.priority),
            ..Default::default()
        })
        .collect();
    CustomResourceDefinition {
        metadata: ObjectMeta {
            name: Some(format!("{}.{}", names.plural, crate::names::GROUP)),
            ..ObjectMeta::default()
        },
        spec: CustomResourceDefinitionSpec {
            group: crate::names::GROUP.to_owned(),
            names: CustomResourceDefinitionNames {
                kind: names.kind.to_owned(),
                plural: names.plural.to_owned(),
                singular: Some(names.singular.to_owned()),
                short_names: Some(names.short.iter().map(|&name| name.to_owned()).collect()),
                ..CustomResourceDefinitionNames::default()
            },
            scope: "Namespaced".to_owned(),
            versions: vec![CustomResourceDefinitionVersion {
                name: crate::names::VERSION.to_owned(),
                served: true,
                storage: true,
                schema: Some(CustomResourceValidation {
                    open_api_v3_schema: schema,
                }),
                additional_printer_columns: (!columns.is_empty()).then_some(columns),
                ..CustomResourceDefinitionVersion::default()
            }],
            ..CustomResourceDefinitionSpec::default()
        },
        ..CustomResourceDefinition::default()
    }
}

/// Makes the root struct of a kind (`metadata` plus the given fields) with `kube::Resource`,
/// `kube::CustomResourceExt` and a `Serialize` that writes `apiVersion` and `kind`.
macro_rules! root_kind {
    (
        $(#[$meta:meta])*
        $name:ident, $singular:literal, $plural:literal, $short:expr, $columns:expr,
        { $( $(#[$field_meta:meta])* $field:ident $key:literal : $type:ty, )* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Deserialize, schemars::JsonSchema)]
        pub struct $name {
            /// Standard metadata.
            #[serde(default)]
            #[schemars(skip)]
            pub metadata: $crate::ObjectMeta,
            $(
                $(#[$field_meta])*
                #[serde(default, rename = $key)]
                pub $field: $type,
            )*
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry(
                    "apiVersion",
                    &format!("{}/{}", $crate::names::GROUP, $crate::names::VERSION),
                )?;
                map.serialize_entry("kind", stringify!($name))?;
                map.serialize_entry("metadata", &self.metadata)?;
                $( $crate::root_kind::RootField::write(&self.$field, $key, &mut map)?; )*
                map.end()
            }
        }

        impl kube::Resource for $name {
            type DynamicType = ();
            type Scope = k8s_openapi::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                stringify!($name).into()
            }
            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $crate::names::GROUP.into()
            }
            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $crate::names::VERSION.into()
            }
            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &$crate::ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut $crate::ObjectMeta {
                &mut self.metadata
            }
        }

        impl kube::CustomResourceExt for $name {
            fn crd() -> k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition {
                $crate::root_kind::crd::<Self>(
                    $crate::root_kind::KindNames {
                        kind: stringify!($name),
                        singular: $singular,
                        plural: $plural,
                        short: $short,
                    },
                    $columns,
                )
            }
            fn crd_name() -> &'static str {
                concat!($plural, ".argoproj.io")
            }
            fn api_resource() -> kube::core::ApiResource {
                kube::core::ApiResource::erase::<Self>(&())
            }
            fn shortnames() -> &'static [&'static str] {
                $short
            }
        }
    };
}
pub(crate) use root_kind;

/// How a field of a root object is written: an absent one is left out.
pub(crate) trait RootField {
    /// Writes the field under its key.
    fn write<M: serde::ser::SerializeMap>(&self, key: &str, map: &mut M) -> Result<(), M::Error>;
}

impl<T: serde::Serialize> RootField for Option<T> {
    fn write<M: serde::ser::SerializeMap>(&self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match self {
            Some(value) => map.serialize_entry(key, value),
            None => Ok(()),
        }
    }
}

/// Implements [`RootField`] for a field that is always written.
macro_rules! always_written {
    ($type:ty) => {
        impl $crate::root_kind::RootField for $type {
            fn write<M: serde::ser::SerializeMap>(
                &self,
                key: &str,
                map: &mut M,
            ) -> Result<(), M::Error> {
                map.serialize_entry(key, self)
            }
        }
    };
}
pub(crate) use always_written;
