//! What a file says of itself: `export const manifest = { roles: […], events: […] }`.
//!
//! It is read and not run, so it holds only plain values. What its keys mean is for the host to say, which
//! finds it in the component as TOML.

use crate::file::{Fault, Place};
use oxc::ast::ast::{
    ArrayExpressionElement, BindingPattern, Declaration, Expression, ObjectExpression,
    ObjectPropertyKind, Program, PropertyKind, Statement, UnaryOperator,
};
use oxc::span::{GetSpan, Span};
use toml::{Table, Value};

/// The section of the component in which the host finds it.
pub const SECTION: &str = "stampcard-manifest";

/// The roles, as manifests name them, and as JavaScript does.
const ROLES: [(&str, &str); 4] = [
    ("segment-rule", "segmentRule"),
    ("point-formula", "pointFormula"),
    ("tier-rule", "tierRule"),
    ("follow-up-trigger", "followUpTrigger"),
];

/// Beyond this a number of JavaScript is not exact.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// A role as JavaScript names it.
pub fn camel(role: &str) -> Option<&'static str> {
    let found = ROLES.iter().find(|(name, _)| *name == role);
    found.map(|(_, camel)| *camel)
}

pub fn no_role(written: &str) -> String {
    let known = ROLES.map(|(name, _)| name).join(", ");
    format!("{written} is no role; they are {known}")
}

/// The manifest of a file.
pub struct Manifest {
    pub table: Table,
    at: Place,
}

impl Manifest {
    /// The one that a file exports, if it does.
    pub fn of(
        program: &Program,
        place: &impl Fn(Span) -> Place,
    ) -> Result<Option<Manifest>, Fault> {
        for statement in &program.body {
            let Statement::ExportDeclaration(exported) = statement else {
                continue;
            };
            let Declaration::VariableDeclaration(variables) = &exported.declaration else {
                continue;
            };
            for variable in &variables.declarations {
                let BindingPattern::BindingIdentifier(name) = &variable.id else {
                    continue;
                };
                if name.name != "manifest" {
                    continue;
                }
                let at = place(name.span);
                let Some(Expression::ObjectExpression(object)) =
                    variable.init.as_ref().map(Expression::get_inner_expression)
                else {
                    return Err(plain(&at));
                };
                let table = table(object, place)?;
                return Ok(Some(Manifest { table, at }));
            }
        }
        Ok(None)
    }

    /// The roles that it names.
    pub fn roles(&self) -> Result<Vec<String>, Fault> {
        let wrong = |problem: String| Err(self.at.fault(problem));
        let missing = "the manifest has no `roles`; write: roles: [\"point-formula\"]";
        let Some(Value::Array(named)) = self.table.get("roles") else {
            return wrong(missing.into());
        };
        let mut roles = Vec::new();
        for role in named {
            match role.as_str() {
                Some(role) if camel(role).is_some() => roles.push(role.to_owned()),
                Some(role) => return wrong(no_role(role)),
                None => return wrong(missing.into()),
            }
        }
        if roles.is_empty() {
            return wrong(missing.into());
        }
        Ok(roles)
    }
}

fn plain(at: &Place) -> Fault {
    at.fault("the manifest is read without running the file, so it holds only texts, numbers, true, false, lists and objects")
}

fn table(object: &ObjectExpression, place: &impl Fn(Span) -> Place) -> Result<Table, Fault> {
    let mut table = Table::new();
    for property in &object.properties {
        let at = place(property.span());
        let ObjectPropertyKind::ObjectProperty(property) = property else {
            return Err(plain(&at));
        };
        let is_plain =
            property.kind == PropertyKind::Init && !property.computed && !property.method;
        match property.key.static_name().filter(|_| is_plain) {
            Some(key) => table.insert(key.into_owned(), value(&property.value, place)?),
            None => return Err(plain(&at)),
        };
    }
    Ok(table)
}

fn value(written: &Expression, place: &impl Fn(Span) -> Place) -> Result<Value, Fault> {
    let at = place(written.span());
    match written.get_inner_expression() {
        Expression::StringLiteral(text) => Ok(Value::String(text.value.to_string())),
        Expression::TemplateLiteral(text) => {
            let text = text.single_quasi().ok_or_else(|| plain(&at))?;
            Ok(Value::String(text.to_string()))
        }
        Expression::BooleanLiteral(it) => Ok(Value::Boolean(it.value)),
        Expression::NumericLiteral(it) => Ok(number(it.value)),
        Expression::UnaryExpression(it) => match (&it.operator, &it.argument) {
            (UnaryOperator::UnaryNegation, Expression::NumericLiteral(it)) => Ok(number(-it.value)),
            _ => Err(plain(&at)),
        },
        Expression::ArrayExpression(list) => {
            let item = |item: &ArrayExpressionElement| match item.as_expression() {
                Some(item) => value(item, place),
                None => Err(plain(&at)),
            };
            Ok(Value::Array(
                list.elements.iter().map(item).collect::<Result<_, _>>()?,
            ))
        }
        Expression::ObjectExpression(object) => Ok(Value::Table(table(object, place)?)),
        _ => Err(plain(&at)),
    }
}

fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
        Value::Integer(value as i64)
    } else {
        Value::Float(value)
    }
}
