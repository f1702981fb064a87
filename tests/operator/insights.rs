//! A small evaluator of CloudWatch Logs Insights: the commands and functions that the saved queries use, and no more. What it
//! does not know it refuses, so that a query can't use what was never tried.

use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

pub type Row = Map<String, Value>;

/// The rows that a query answers of these, oldest first.
pub fn run(query: &str, rows: &[Row]) -> Vec<Row> {
    let code: Vec<&str> = query.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let mut rows: Vec<Row> = rows.to_vec();
    for command in code.join("\n").split('|').map(str::trim) {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        rows = match name {
            "fields" => rows.iter().map(|row| select(row, rest)).collect(),
            "filter" => rows.into_iter().filter(|row| holds(row, rest)).collect(),
            "stats" => stats(&rows, rest),
            "sort" => sorted(rows, rest),
            "limit" => rows.into_iter().take(rest.parse().unwrap()).collect(),
            other => panic!("unknown command `{other}`"),
        };
    }
    rows
}

fn select(row: &Row, fields: &str) -> Row {
    let known = |name: &str| row.get(name).map(|value| (name.to_string(), value.clone()));
    fields.split(',').map(str::trim).filter_map(known).collect()
}

/// Conditions joined by `and`: a comparison, `field in [...]`, or `ispresent(field)`.
fn holds(row: &Row, conditions: &str) -> bool {
    conditions.split(" and ").all(|condition| {
        let condition = condition.trim();
        if let Some(field) = condition.strip_prefix("ispresent(").and_then(|rest| rest.strip_suffix(')')) {
            return row.contains_key(field);
        }
        if let Some((field, list)) = condition.split_once(" in ") {
            let list: Vec<Value> = serde_json::from_str(list).unwrap();
            return row.get(field.trim()).is_some_and(|value| list.contains(value));
        }
        let words: Vec<&str> = condition.splitn(3, ' ').collect();
        let [field, operator, literal] = words.as_slice() else { panic!("unknown condition `{condition}`") };
        let literal: Value = serde_json::from_str(literal).unwrap_or_else(|_| panic!("no literal: {literal}"));
        let Some(value) = row.get(*field) else { return false };
        match *operator {
            "=" => *value == literal,
            "!=" => *value != literal,
            ">" => compare(value, &literal) == Ordering::Greater,
            other => panic!("unknown operator `{other}`"),
        }
    })
}

fn stats(rows: &[Row], command: &str) -> Vec<Row> {
    let (aggregates, by) = command.split_once(" by ").unwrap();
    let keys: Vec<&str> = by.split(',').map(str::trim).collect();
    let mut groups: BTreeMap<Vec<String>, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let of = keys.iter().map(|key| row.get(*key).map(ToString::to_string).unwrap_or_default()).collect();
        groups.entry(of).or_default().push(row);
    }
    let answer = |group: &Vec<&Row>| {
        let mut row: Row = select(group[0], by);
        for aggregate in aggregates.split(", ") {
            let (expression, name) = aggregate.split_once(" as ").unwrap_or_else(|| panic!("no name: {aggregate}"));
            if let Some(value) = total(group, expression.trim()) {
                row.insert(name.trim().to_string(), value);
            }
        }
        row
    };
    groups.values().map(answer).collect()
}

fn total(group: &[&Row], expression: &str) -> Option<Value> {
    if let Some((expression, divisor)) = expression.split_once(" / ") {
        let divisor: f64 = divisor.parse().unwrap();
        return Some(Value::from(total(group, expression)?.as_f64()? / divisor));
    }
    let (function, field) = expression.strip_suffix(')').unwrap().split_once('(').unwrap();
    let mut values = group.iter().filter_map(|row| row.get(field));
    Some(match function {
        "count" if field == "*" => Value::from(group.len()),
        "count" => Value::from(values.count()),
        "count_distinct" => Value::from(values.map(ToString::to_string).collect::<BTreeSet<_>>().len()),
        "sum" => Value::from(values.filter_map(Value::as_f64).sum::<f64>()),
        "latest" => values.next_back()?.clone(),
        other => panic!("unknown function `{other}`"),
    })
}

fn sorted(mut rows: Vec<Row>, by: &str) -> Vec<Row> {
    let (field, direction) = by.split_once(' ').unwrap();
    let key = |row: &Row| row.get(field).cloned().unwrap_or_default();
    match direction {
        "asc" => rows.sort_by(|a, b| compare(&key(a), &key(b))),
        "desc" => rows.sort_by(|a, b| compare(&key(b), &key(a))),
        other => panic!("unknown direction `{other}`"),
    }
    rows
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}
