(pair (_) @name (_) @value)
(comment) @comment
