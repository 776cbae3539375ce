; const NAME: T = literal;
(const_item name: (identifier) @name type: [(primitive_type) (reference_type)] value: (_) @value)
(line_comment) @comment
