refused: not_yaml: line 4, column 10: the buildspec is not valid YAML: mapping values are not allowed in this context
