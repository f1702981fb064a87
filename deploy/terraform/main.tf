# unthrottled as an ECS service on Fargate: what deploy/unthrottled.yaml makes, for those who use Terraform. The settings are
# environment variables, and the task role's policy is what `unthrottled iam-policy` prints for them.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  region = data.aws_region.this.name
  environment = merge({ UNTHROTTLED_DAEMON__METRICS = "emf" }, var.environment, {
    UNTHROTTLED_LEDGER__STORE = "dynamodb"
    UNTHROTTLED_LEDGER__TABLE = var.ledger_table
  })
}

resource "aws_ecs_cluster" "this" {
  count = var.cluster_arn == null ? 1 : 0
  name  = var.name
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

# As deploy/ledger-table.yaml and `unthrottled ledger create` make it.
resource "aws_dynamodb_table" "ledger" {
  count                       = var.create_ledger_table ? 1 : 0
  name                        = var.ledger_table
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "part"
  range_key                   = "item"
  deletion_protection_enabled = true
  attribute {
    name = "part"
    type = "S"
  }
  attribute {
    name = "item"
    type = "S"
  }
  point_in_time_recovery {
    enabled = true
  }
}

resource "aws_cloudwatch_log_group" "events" {
  name              = "/unthrottled/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
}

data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "TasksOfThisAccount"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${data.aws_partition.this.partition}:ecs:${local.region}:${data.aws_caller_identity.this.account_id}:*"]
    }
  }
}

# Both roles lie under /unthrottled/, which the policy denies to write to.
resource "aws_iam_role" "task" {
  name_prefix          = "${var.name}-task-"
  path                 = "/unthrottled/"
  description          = "What the unthrottled daemon may do"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "task" {
  name   = "unthrottled"
  role   = aws_iam_role.task.id
  policy = var.policy
}

resource "aws_iam_role" "execution" {
  name_prefix          = "${var.name}-start-"
  path                 = "/unthrottled/"
  description          = "Starts the unthrottled task"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "WriteEvents"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.events.arn}:*"]
  }
  dynamic "statement" {
    for_each = var.repository_arn == null ? [] : [var.repository_arn]
    content {
      sid = "LogInToEcr"
      # This action knows no resources.
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }
  dynamic "statement" {
    for_each = var.repository_arn == null ? [] : [var.repository_arn]
    content {
      sid       = "PullTheImage"
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

# Nothing comes in; HTTPS goes out, to AWS and to Docker Hub.
resource "aws_security_group" "this" {
  name_prefix = "${var.name}-"
  description = "unthrottled, HTTPS out and nothing in"
  vpc_id      = var.vpc_id
  egress {
    description      = "HTTPS to AWS and Docker Hub"
    protocol         = "tcp"
    from_port        = 443
    to_port          = 443
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }
  container_definitions = jsonencode([{
    name                   = "unthrottled"
    image                  = var.image
    essential              = true
    command                = ["run"]
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    privileged             = false
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    stopTimeout            = 30
    environment            = [for name, value in local.environment : { name = name, value = value }]
    healthCheck = {
      command     = ["CMD", "/unthrottled", "healthcheck"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.events.name
        awslogs-region        = local.region
        awslogs-stream-prefix = "unthrottled"
        mode                  = "non-blocking"
        max-buffer-size       = "4m"
      }
    }
  }])
}

# The tasks of a deployment overlap: the new one is healthy, waits for the lease, and takes over when the old one has stopped.
resource "aws_ecs_service" "this" {
  name                               = var.name
  cluster                            = var.cluster_arn == null ? aws_ecs_cluster.this[0].arn : var.cluster_arn
  task_definition                    = aws_ecs_task_definition.this.arn
  launch_type                        = "FARGATE"
  desired_count                      = 1
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = var.assign_public_ip
  }
  # The first task needs both.
  depends_on = [aws_dynamodb_table.ledger, aws_iam_role_policy.task, aws_iam_role_policy.execution]
}
