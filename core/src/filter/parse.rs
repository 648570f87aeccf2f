//! From the JSON text of `Filter` to its tree. Whatever is wrong is said with the path and the parameter.

use serde_json::{Map, Value};

use super::{Condition, Field, Filter, Kind, Node, Operand, Relation, Subject, Test};
use crate::{
    attributes::{AttributePath, Scalar},
    error::{Error, Result},
    timestamp::Timestamp,
};

/// What paths into attributes begin with.
pub(super) const ATTRIBUTES: &str = "attributes.";

/// How deep `$and`, `$or` and `$not` may be nested.
const LEVELS: usize = 5;
/// The most conditions of a filter.
const CONDITIONS: usize = 100;
/// The most values of an `$in` or `$nin`.
const CHOICES: usize = 100;
/// The longest name that a message repeats, in characters.
const SHOWN: usize = 80;

impl Filter {
    /// Reads `Filter`, a JSON object in a text.
    ///
    /// # Errors
    /// 20001 naming `Filter` and the path.
    pub fn parse(text: &str, subject: &'static Subject) -> Result<Self> {
        let value: Value =
            serde_json::from_str(text).map_err(|cause| refused(&format!("is not valid JSON: {cause}")))?;
        let Value::Object(fields) = value else {
            return Err(refused(
                "must be a JSON object, such as {\"attributes.ticket.priority\": {\"$gte\": 3}}",
            ));
        };
        let mut parser = Parser {
            subject,
            conditions: 0,
        };
        Ok(Self {
            root: parser.object(&fields, 0)?,
        })
    }
}

fn refused(problem: &str) -> Error {
    Error::parameter("Filter", problem)
}

/// Refuses what stands at `path`.
fn refused_at(path: &str, problem: &str) -> Error {
    refused(&format!("at {}: {problem}", shown(path)))
}

/// As much of a name as a message should repeat.
pub(super) fn shown(name: &str) -> String {
    if name.chars().count() <= SHOWN {
        name.to_owned()
    } else {
        name.chars().take(SHOWN).chain(['…']).collect()
    }
}

/// The field that a filter or sort calls `name`; the text says what is wrong with it.
pub(super) fn field(subject: &'static Subject, name: &str) -> Result<Field, String> {
    if let Some(path) = name.strip_prefix(ATTRIBUTES) {
        return path
            .parse::<AttributePath>()
            .map(|path| Field::Attribute {
                path,
                instants: false,
            })
            .map_err(|problem| format!("the path {problem}"));
    }
    subject.field(name).map(Field::Own).ok_or_else(|| {
        let known: Vec<&str> = subject.fields.iter().map(|field| field.name).collect();
        format!(
            "no such field; {} have {} and attributes.…",
            subject.name,
            known.join(", ")
        )
    })
}

struct Parser {
    subject: &'static Subject,
    conditions: usize,
}

impl Parser {
    /// Fields and logical operators side by side: all of them must hold.
    fn object(&mut self, fields: &Map<String, Value>, level: usize) -> Result<Node> {
        let mut nodes = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            nodes.push(match name.as_str() {
                "$and" => Node::All(self.list(name, value, level + 1)?),
                "$or" => Node::Any(self.list(name, value, level + 1)?),
                "$not" => {
                    let Value::Object(inner) = value else {
                        return Err(refused_at(name, "must be an object"));
                    };
                    below(name, level + 1)?;
                    Node::Not(Box::new(self.object(inner, level + 1)?))
                }
                operator if operator.starts_with('$') => {
                    return Err(refused_at(
                        operator,
                        "no such operator here; $and, $or and $not stand without a field",
                    ));
                }
                _ => self.field(name, value, level)?,
            });
        }
        Ok(all(nodes))
    }

    fn list(&mut self, operator: &str, value: &Value, level: usize) -> Result<Vec<Node>> {
        below(operator, level)?;
        match value {
            Value::Array(items) if !items.is_empty() => items
                .iter()
                .map(|item| match item {
                    Value::Object(fields) => self.object(fields, level),
                    _ => Err(refused_at(operator, "each of the list must be an object")),
                })
                .collect(),
            _ => Err(refused_at(operator, "must be a list of at least one object")),
        }
    }

    fn field(&mut self, name: &str, value: &Value, level: usize) -> Result<Node> {
        let field = field(self.subject, name).map_err(|problem| refused_at(name, &problem))?;
        match value {
            Value::Object(operators) => self.operators(&field, name, operators, level),
            _ => self.operator(&field, name, "$eq", value),
        }
    }

    /// Operators side by side on one field: all of them must hold.
    fn operators(
        &mut self,
        field: &Field,
        name: &str,
        operators: &Map<String, Value>,
        level: usize,
    ) -> Result<Node> {
        if operators.is_empty() {
            return Err(refused_at(name, "needs an operator, such as {\"$eq\": 1}"));
        }
        let mut nodes = Vec::with_capacity(operators.len());
        for (operator, operand) in operators {
            nodes.push(match (operator.as_str(), operand) {
                ("$not", Value::Object(inner)) => {
                    below(name, level + 1)?;
                    Node::Not(Box::new(self.operators(field, name, inner, level + 1)?))
                }
                ("$not", _) => return Err(refused_at(name, "$not takes an object of operators")),
                (operator, operand) => self.operator(field, name, operator, operand)?,
            });
        }
        Ok(all(nodes))
    }

    fn operator(&mut self, field: &Field, name: &str, operator: &str, operand: &Value) -> Result<Node> {
        self.conditions += 1;
        if self.conditions > CONDITIONS {
            return Err(refused_at(
                name,
                &format!("more than {CONDITIONS} conditions are too many"),
            ));
        }
        let read = Reader {
            field,
            name,
            operator,
        };
        let (test, opposite) = match operator {
            "$eq" => (Test::Equals(read.operand(operand)?), false),
            "$ne" => (Test::Equals(read.operand(operand)?), true),
            "$in" => (Test::OneOf(read.choices(operand)?), false),
            "$nin" => (Test::OneOf(read.choices(operand)?), true),
            "$lt" => (Test::Compares(Relation::Less, read.ordered(operand)?), false),
            "$lte" => (Test::Compares(Relation::AtMost, read.ordered(operand)?), false),
            "$gt" => (Test::Compares(Relation::Greater, read.ordered(operand)?), false),
            "$gte" => (Test::Compares(Relation::AtLeast, read.ordered(operand)?), false),
            "$exists" => match operand {
                Value::Bool(present) => (Test::Exists, !present),
                _ => return Err(read.refused("takes true or false")),
            },
            "$prefix" => (Test::StartsWith(read.prefix(operand)?), false),
            "$contains" => match read.operand(operand)? {
                Some(scalar) => (Test::Contains(scalar), false),
                None => return Err(read.refused("takes a text, a number, true or false")),
            },
            _ => {
                return Err(refused_at(
                    name,
                    &format!(
                        "{} is no operator; there are $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, \
                         $contains, $prefix and $not",
                        shown(operator)
                    ),
                ));
            }
        };
        let condition = Node::Is(Condition {
            field: field.clone(),
            test,
        });
        Ok(if opposite {
            Node::Not(Box::new(condition))
        } else {
            condition
        })
    }
}

/// One node, without a list of one around it.
fn all(mut nodes: Vec<Node>) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => Node::All(nodes),
    }
}

fn below(name: &str, level: usize) -> Result<()> {
    if level > LEVELS {
        return Err(refused_at(
            name,
            &format!("$and, $or and $not are nested more than {LEVELS} levels deep"),
        ));
    }
    Ok(())
}

/// Reads the operand of one operator on one field.
struct Reader<'a> {
    field: &'a Field,
    name: &'a str,
    operator: &'a str,
}

impl Reader<'_> {
    fn refused(&self, problem: &str) -> Error {
        refused_at(self.name, &format!("{} {problem}", self.operator))
    }

    /// A scalar or null.
    fn operand(&self, value: &Value) -> Result<Operand> {
        match value {
            Value::Null => Ok(None),
            Value::Array(_) | Value::Object(_) => {
                Err(self.refused("takes a text, a number, true, false or null"))
            }
            scalar => self.scalar(scalar).map(Some),
        }
    }

    /// A scalar as the field has it: texts at its own dates are points in time.
    fn scalar(&self, value: &Value) -> Result<Scalar> {
        let of_date = matches!(self.field, Field::Own(own) if own.kind == Kind::Date);
        match value {
            Value::String(text) if of_date => Timestamp::parse(text)
                .map(Scalar::Instant)
                .ok_or_else(|| self.refused("takes an ISO 8601 date here, such as 2015-12-16T22:18:37Z")),
            scalar => Scalar::of(scalar, false)
                .ok_or_else(|| self.refused("takes a text, a number, true, false or null")),
        }
    }

    /// A scalar of a type that has an order of use.
    fn ordered(&self, value: &Value) -> Result<Scalar> {
        match value {
            Value::Number(_) | Value::String(_) => self.scalar(value),
            _ => Err(self.refused("takes a number, a text or a date")),
        }
    }

    fn choices(&self, value: &Value) -> Result<Vec<Operand>> {
        match value {
            Value::Array(items) if (1..=CHOICES).contains(&items.len()) => {
                items.iter().map(|item| self.operand(item)).collect()
            }
            _ => Err(self.refused(&format!("takes a list of 1 to {CHOICES} values"))),
        }
    }

    fn prefix(&self, value: &Value) -> Result<String> {
        match (self.field, value) {
            (Field::Own(own), _) if own.kind == Kind::Date => {
                Err(self.refused("is not for dates; use $gte and $lt"))
            }
            (_, Value::String(text)) => Ok(text.clone()),
            _ => Err(self.refused("takes a text")),
        }
    }
}
