//! CodeBuild's reads: lists newest first, a hundred a page, and batches that name what they did not find.

use serde_json::{Value, json};

use super::account::Account;
use super::build::Build;
use super::options::BatchMembers;
use super::page;
use super::refusal::{Answer, Refusal};

const PAGE: usize = 100;

impl Account {
    /// Dispatches a CodeBuild operation; `None` is one that the simulator does not know.
    pub(super) fn codebuild(&mut self, operation: &str, input: &Value) -> Option<Answer> {
        Some(match operation {
            "ListBuilds" => self.list_builds(input),
            "ListBuildsForProject" => self.list_builds_for_project(input),
            "BatchGetBuilds" => self.batch_get_builds(input),
            "ListProjects" => self.list_projects(input),
            "BatchGetProjects" => self.batch_get_projects(input),
            "UpdateProject" => self.update_project(input),
            "StartBuild" => self.start_build(input),
            "StopBuild" => self.stop_build(input),
            "RetryBuild" => self.retry_build(input),
            _ => return None,
        })
    }

    fn list_builds(&self, input: &Value) -> Answer {
        let ascending = input["sortOrder"] == "ASCENDING";
        self.build_page("ListBuilds", input, ascending, |_| true)
    }

    fn list_builds_for_project(&self, input: &Value) -> Answer {
        let name = input["projectName"].as_str().unwrap_or_default();
        if self.project_seen(name).is_none() {
            return Err(self.project_not_found(name));
        }
        if !input["nextToken"].is_null() && !input["sortOrder"].is_null() {
            return Err(Refusal::invalid_input("Sort order can't be specified when passing a nextToken"));
        }
        // The order of the first page goes on: the token carries it.
        let token = input["nextToken"].as_str().unwrap_or_default();
        let operation = |ascending| format!("{}{ascending}{name}", "ListBuildsForProject");
        let ascending =
            input["sortOrder"] == "ASCENDING" || (!token.is_empty() && page::read(&operation(true), token).is_some());
        self.build_page(&operation(ascending), input, ascending, |build| build.project == name)
    }

    fn build_page(&self, operation: &str, input: &Value, ascending: bool, wanted: impl Fn(&Build) -> bool) -> Answer {
        let delay = self.unknowns.stale_reads;
        let listed = |place: &usize| {
            let build = &self.builds[*place];
            let unlisted = build.given.batch.is_some() && self.unknowns.batch_members == BatchMembers::Unlisted;
            !build.deleted && !unlisted && self.now.duration_since(build.started) >= delay && wanted(build)
        };
        let after = match input["nextToken"].as_str() {
            Some(token) => Some(page::read(operation, token).ok_or_else(page::invalid)?),
            None => None,
        };
        // Builds that start between two pages do not shift them: the token names the last build shown.
        let (from, to) = match (after, ascending) {
            (None, _) => (0, self.builds.len()),
            (Some(last), true) => (last + 1, self.builds.len()),
            (Some(last), false) => (0, last.min(self.builds.len())),
        };
        let mut places: Box<dyn Iterator<Item = usize>> =
            if ascending { Box::new((from..to).filter(listed)) } else { Box::new((from..to).rev().filter(listed)) };
        let shown: Vec<usize> = places.by_ref().take(PAGE).collect();
        let ids: Vec<&str> = shown.iter().map(|place| self.builds[*place].id.as_str()).collect();
        let mut answer = json!({ "ids": ids });
        if let (Some(last), Some(_)) = (shown.last(), places.next()) {
            answer["nextToken"] = json!(page::write(operation, *last));
        }
        Ok(answer)
    }

    fn batch_get_builds(&self, input: &Value) -> Answer {
        let mut builds = Vec::new();
        let mut missing = Vec::new();
        for id in input["ids"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            match self.build_at(id) {
                Some(place) => builds.push(self.builds[place].json(self)),
                None => missing.push(id),
            }
        }
        Ok(json!({"builds": builds, "buildsNotFound": missing}))
    }

    /// The place of a build by its id or ARN.
    pub(super) fn build_at(&self, id: &str) -> Option<usize> {
        let id = id.split_once(":build/").map_or(id, |(_, id)| id);
        let place = *self.build_index.get(id)?;
        (!self.builds[place].deleted).then_some(place)
    }

    fn list_projects(&self, input: &Value) -> Answer {
        let by = input["sortBy"].as_str().unwrap_or("NAME");
        let member = match by {
            "CREATED_TIME" => "created",
            "LAST_MODIFIED_TIME" => "lastModified",
            _ => "name",
        };
        let descending = input["sortOrder"] == "DESCENDING";
        let mut projects: Vec<(String, f64)> = self
            .projects
            .keys()
            .filter_map(|name| Some((name.clone(), self.project_seen(name)?[member].as_f64().unwrap_or_default())))
            .collect();
        projects.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        if descending {
            projects.reverse();
        }
        let operation = format!("ListProjects{by}{descending}");
        let from = match input["nextToken"].as_str() {
            Some(token) => page::read(&operation, token).ok_or_else(page::invalid)?,
            None => 0,
        };
        let names: Vec<&String> = projects.iter().skip(from).take(PAGE).map(|(name, _)| name).collect();
        let mut answer = json!({ "projects": names });
        if from + PAGE < projects.len() {
            answer["nextToken"] = json!(page::write(&operation, from + PAGE));
        }
        Ok(answer)
    }

    fn batch_get_projects(&self, input: &Value) -> Answer {
        let mut projects = Vec::new();
        let mut missing = Vec::new();
        for given in input["names"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            match self.project_seen(self.project_name(given)) {
                Some(json) => projects.push(Value::clone(json)),
                None => missing.push(given),
            }
        }
        Ok(json!({"projects": projects, "projectsNotFound": missing}))
    }

    /// The name in a name or an ARN of this account.
    pub(super) fn project_name<'n>(&self, given: &'n str) -> &'n str {
        given.strip_prefix(&self.arn("codebuild", "project/")).unwrap_or(given)
    }

    pub(super) fn project_not_found(&self, name: &str) -> Refusal {
        let arn = self.arn("codebuild", &format!("project/{name}"));
        Refusal::not_found(format!("Project cannot be found: {arn}"))
    }
}
