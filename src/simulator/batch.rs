//! Batch builds: one build for each task that the `batch` of a buildspec lists, graphs or multiplies.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::account::Account;
use super::buildspec::tree;
use super::run::NewBuild;

/// A batch under way.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) arn: String,
    project: String,
    /// The project as it was when the batch began.
    config: Arc<Value>,
    tasks: Vec<Task>,
}

/// One build of a batch.
#[derive(Debug, Clone, Default)]
struct Task {
    identifier: String,
    depends_on: Vec<String>,
    /// What it overrides: `image`, `type`, `variables` and so on, under the buildspec's own names.
    environment: BTreeMap<String, Value>,
    /// Its own buildspec, a path; none runs the one that lists the batch.
    buildspec: Option<String>,
    build: Option<usize>,
}

impl Account {
    /// Begins a batch and answers its ARN; the error is why its buildspec lists none.
    pub(super) fn start_batch(&mut self, project: &str) -> Result<String, String> {
        let config = self.project_now(project).cloned().ok_or("no such project")?;
        let written = config["source"]["buildspec"].as_str().unwrap_or_default();
        let text = self.buildspec_text(project, written).map_err(|end| end.message)?;
        let tasks = tasks(&tree(&text)?["batch"]);
        if tasks.is_empty() {
            return Err("the buildspec lists no batch".to_owned());
        }
        let uuid = self.new_uuid();
        let arn = self.arn("codebuild", &format!("build-batch/{project}:{uuid}"));
        self.batches.push(Batch { arn: arn.clone(), project: project.to_owned(), config, tasks });
        self.go_on_with_batches();
        Ok(arn)
    }

    /// Starts every task whose dependencies have all succeeded.
    pub(super) fn go_on_with_batches(&mut self) {
        for batch in 0..self.batches.len() {
            for task in 0..self.batches[batch].tasks.len() {
                let it = &self.batches[batch];
                if it.tasks[task].build.is_none() && it.is_free(task, self) {
                    let place = self.start_member(batch, task);
                    self.batches[batch].tasks[task].build = Some(place);
                }
            }
        }
    }

    fn start_member(&mut self, batch: usize, task: usize) -> usize {
        let Batch { arn, project, config, tasks } = &self.batches[batch];
        let (arn, project, own) = (arn.clone(), project.clone(), tasks[task].clone());
        let mut config = Value::clone(config);
        for (name, value) in &own.environment {
            override_environment(&mut config["environment"], name, value);
        }
        let projects = config["source"]["buildspec"].clone();
        if let Some(buildspec) = &own.buildspec {
            config["source"]["buildspec"] = json!(buildspec);
        }
        let place = self.submit(NewBuild {
            project,
            config: Arc::new(config),
            source_version: None,
            initiator: "developer".to_owned(),
            recurring: false,
        });
        let given = &mut self.builds[place].given;
        given.batch = Some(arn);
        given.instead_of = own.buildspec.map(|_| projects);
        place
    }
}

impl Batch {
    /// The places of the builds that have begun.
    pub(super) fn builds(&self) -> impl Iterator<Item = usize> {
        self.tasks.iter().filter_map(|task| task.build)
    }

    fn is_free(&self, task: usize, account: &Account) -> bool {
        let succeeded = |name: &String| {
            let other = self.tasks.iter().find(|task| task.identifier == *name);
            other.and_then(|task| task.build).is_some_and(|place| account.builds[place].status == "SUCCEEDED")
        };
        self.tasks[task].depends_on.iter().all(succeeded)
    }
}

fn override_environment(environment: &mut Value, name: &str, value: &Value) {
    match name {
        "image" => environment["image"] = value.clone(),
        "type" => environment["type"] = value.clone(),
        "compute-type" => environment["computeType"] = value.clone(),
        "privileged-mode" => environment["privilegedMode"] = json!(value == "true"),
        "variables" => {
            let Some(list) = environment["environmentVariables"].as_array_mut() else { return };
            for (name, value) in value.as_object().into_iter().flatten() {
                list.retain(|old| old["name"] != *name);
                list.push(json!({"name": name, "value": value, "type": "PLAINTEXT"}));
            }
        }
        _ => {}
    }
}

fn tasks(batch: &Value) -> Vec<Task> {
    let listed = batch["build-list"].as_array().or(batch["build-graph"].as_array());
    match listed {
        Some(items) => items.iter().map(task).collect(),
        None => matrix(&batch["build-matrix"]),
    }
}

fn task(item: &Value) -> Task {
    let words = |value: &Value| value.as_array().into_iter().flatten().filter_map(text).collect();
    Task {
        identifier: text(&item["identifier"]).unwrap_or_default(),
        depends_on: words(&item["depend-on"]),
        environment: members(&item["env"]),
        buildspec: text(&item["buildspec"]),
        build: None,
    }
}

/// One task for each combination of what is listed under `dynamic`.
fn matrix(matrix: &Value) -> Vec<Task> {
    if !matrix.is_object() {
        return Vec::new();
    }
    let fixed = Task { environment: members(&matrix["static"]["env"]), ..Task::default() };
    let dynamic = &matrix["dynamic"];
    let mut tasks = vec![fixed];
    tasks = multiplied(tasks, &dynamic["buildspec"], |task, value| task.buildspec = text(value));
    for (name, values) in dynamic["env"].as_object().into_iter().flatten().filter(|(name, _)| *name != "variables") {
        tasks = multiplied(tasks, values, |task, value| {
            task.environment.insert(name.clone(), value.clone());
        });
    }
    for (name, values) in dynamic["env"]["variables"].as_object().into_iter().flatten() {
        tasks = multiplied(tasks, values, |task, value| {
            let variables = task.environment.entry("variables".to_owned()).or_insert_with(|| json!({}));
            variables[name] = value.clone();
        });
    }
    for (at, task) in tasks.iter_mut().enumerate() {
        task.identifier = format!("build{at}");
    }
    tasks
}

fn multiplied(tasks: Vec<Task>, values: &Value, set: impl Fn(&mut Task, &Value)) -> Vec<Task> {
    let Some(values) = values.as_array() else {
        return tasks;
    };
    let with = |task: &Task, value: &Value| {
        let mut task = task.clone();
        set(&mut task, value);
        task
    };
    tasks.iter().flat_map(|task| values.iter().map(move |value| (task, value))).map(|(t, v)| with(t, v)).collect()
}

fn members(env: &Value) -> BTreeMap<String, Value> {
    env.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(yaml: &str) -> Vec<String> {
        let tree = tree(yaml).unwrap_or_else(|error| panic!("{error}"));
        let shown = |task: Task| format!("{} {:?} {:?}", task.identifier, task.buildspec, task.environment);
        tasks(&tree["batch"]).into_iter().map(shown).collect()
    }

    #[test]
    fn a_matrix_is_every_combination() {
        let tasks = names(
            "batch:\n  build-matrix:\n    static:\n      env: {privileged-mode: true}\n    dynamic:\n      buildspec: [a.yml, b.yml]\n      env:\n        variables:\n          GO: ['1', '2']\n",
        );
        assert_eq!(tasks.len(), 4, "{tasks:?}");
        assert!(
            tasks[3].starts_with("build3 Some(\"b.yml\")") && tasks[3].contains("\"GO\": String(\"2\")"),
            "{tasks:?}"
        );
    }

    #[test]
    fn a_list_and_a_graph_are_their_items() {
        let tasks = names("batch:\n  build-list:\n    - identifier: a\n    - {identifier: b, buildspec: b.yml}\n");
        assert_eq!(tasks, ["a None {}", "b Some(\"b.yml\") {}"]);
        assert_eq!(names("version: 0.2\n"), Vec::<String>::new());
    }
}
