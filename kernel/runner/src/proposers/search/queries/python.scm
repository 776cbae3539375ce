; NAME = literal, NAME: type = literal, at the top level
(module (expression_statement (assignment left: (identifier) @name right: (_) @value))
  (#match? @name "^[A-Z][A-Z0-9_]*$"))
; the fields of a dataclass
(decorated_definition
  (decorator) @decorator
  definition: (class_definition
    name: (identifier) @class
    body: (block (expression_statement (assignment left: (identifier) @name type: (_) right: (_) @value))))
  (#match? @decorator "dataclass|attrs|define"))
; parser.add_argument("--name", default=literal)
(call
  function: (attribute attribute: (identifier) @function)
  arguments: (argument_list) @arguments
  (#eq? @function "add_argument"))
; Config(name=…): what the dataclass says of it is not asked
(call
  function: (identifier) @made
  arguments: (argument_list (keyword_argument name: (identifier) @given)))
(comment) @comment
