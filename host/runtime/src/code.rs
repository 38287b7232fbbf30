//! The machine code of one component, ready to be instantiated. Plugins of any number of shops
//! share it, whatever their configuration.

use crate::bindings as wit;
use crate::call::{self, Decided, Session};
use crate::component::{Shape, contract_item};
use crate::contract::Contract;
use crate::wasi;
use stampcard_pipeline::rules::Role;
use std::path::Path;
use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Linker, Lower,
};

/// Compiled, linked, and checked against the contract.
pub(crate) struct Code {
    /// `sha256:…` of the component.
    pub digest: String,
    /// In the order of [`Role::ALL`].
    pub roles: Vec<Role>,
    /// Whether it imports WASI, and so needs a world.
    pub wasi: bool,
    pub configure: ComponentExportIndex,
    decide: [Option<ComponentExportIndex>; Role::ALL.len()],
    pre: InstancePre<Session>,
}

/// Why compiled code cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    #[error("compiled code cannot be loaded: {reason}")]
    Load { reason: String },
    #[error("the component does not fit the contract that it claims to speak: {reason}; build it against stampcard:plugin@{contract}", contract = Contract::KNOWN)]
    Types { reason: String },
}

impl Code {
    /// Loads machine code that was compiled by this engine's own compiler.
    ///
    /// # Safety
    /// The file holds what [`compile`](crate::compile::compile) made for this engine, unchanged.
    pub unsafe fn load(
        engine: &wasmtime::Engine,
        file: &Path,
        shape: &Shape,
        digest: String,
    ) -> Result<Code, CodeError> {
        // SAFETY: promised by the caller.
        let component = unsafe { Component::deserialize_file(engine, file) }.map_err(|error| {
            CodeError::Load {
                reason: format!("{error:#}"),
            }
        })?;
        let types = |error: wasmtime::Error| CodeError::Types {
            reason: format!("{error:#}"),
        };
        let pre = link(engine, &component).map_err(types)?;
        let exports = Exports {
            engine,
            component: &component,
            contract: shape.contract,
        };
        let configure = exports.function::<(&str, &wit::Shop), (Result<(), wit::Refusal>,)>(
            "lifecycle",
            "configure",
        )?;
        let mut decide = [None; Role::ALL.len()];
        for role in &shape.roles {
            decide[*role as usize] = Some(match role {
                Role::SegmentRule => exports.decide::<wit::SegmentAnswer>(*role)?,
                Role::PointFormula => exports.decide::<wit::PointAnswer>(*role)?,
                Role::TierRule => exports.decide::<wit::TierAnswer>(*role)?,
                Role::FollowUpTrigger => exports.decide::<wit::FollowUpAnswer>(*role)?,
            });
        }
        Ok(Code {
            digest,
            roles: shape.roles.clone(),
            wasi: shape.imports_wasi,
            configure,
            decide,
            pre,
        })
    }

    pub fn engine(&self) -> &wasmtime::Engine {
        self.pre.engine()
    }

    pub fn instance(&self, store: &mut Store<Session>) -> wasmtime::Result<Instance> {
        self.pre.instantiate(store)
    }

    /// The export of a role that this component has.
    pub fn decide(&self, role: Role) -> &ComponentExportIndex {
        self.decide[role as usize]
            .as_ref()
            .expect("a plugin is called only in its roles")
    }
}

/// Links a component to what it imports: the log, and WASI if it has any of it.
fn link(
    engine: &wasmtime::Engine,
    component: &Component,
) -> wasmtime::Result<InstancePre<Session>> {
    let mut linker = Linker::new(engine);
    let imports = component.component_type();
    for (name, _) in imports.imports(engine) {
        if contract_item(name).is_some_and(|(item, _)| item == "log") {
            call::define_log(&mut linker, name)?;
        }
    }
    wasi::define(&mut linker, component, engine)?;
    linker.instantiate_pre(component)
}

/// The exports of a component, looked up and compared with the contract once, so that no call
/// does it again.
struct Exports<'a> {
    engine: &'a wasmtime::Engine,
    component: &'a Component,
    contract: Contract,
}

impl Exports<'_> {
    fn decide<D: Decided>(&self, role: Role) -> Result<ComponentExportIndex, CodeError> {
        self.function::<(&wit::Input,), (Result<D, wit::Refusal>,)>(role.name(), "decide")
    }

    fn function<P, R>(&self, interface: &str, name: &str) -> Result<ComponentExportIndex, CodeError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let refused = |reason: String| CodeError::Types {
            reason: format!("{interface}.{name}: {reason}"),
        };
        let component_type = self.component.component_type();
        let (function, index) = component_type
            .exports(self.engine)
            .find(|(exported, _)| self.contract.item(exported) == Some(interface))
            .and_then(|(exported, _)| self.component.get_export_index(None, exported))
            .and_then(|instance| self.component.get_export(Some(&instance), name))
            .ok_or_else(|| refused("it is not exported".into()))?;
        match function {
            ComponentItem::ComponentFunc(function) => function
                .typecheck::<P, R>(&component_type.instance_type())
                .map_err(|error| refused(format!("{error:#}")))?,
            _ => return Err(refused("it is no function".into())),
        }
        Ok(index)
    }
}
